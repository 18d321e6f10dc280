// Puts the parts together: whatever is chosen in one is shown in all.

const genes = new Genes(JSON.parse(document.querySelector("#data").textContent));
const contigs = document.querySelector("#contig");
genes.contigs.forEach(([name, length], place) => {
  const number = genes.byContig[place].length;
  const size = length ? ", " + thousands(Math.max(Math.round(length / 1000), 1)) + " kb" : "";
  contigs.append(element("option", { value: place }, name + " (" + thousands(number) + (number === 1 ? " gene" : " genes") + size + ")"));
});

const map = new GeneMap(document.querySelector("#map"), document.querySelector("#where"), genes, choose);
const table = new Table(genes, choose);
const details = new Details(genes, choose, (step) => map.walk(step), () => {
  details.close();
  map.chosen = table.chosen = null;
  map.redraw();
  table.fill();
});
table.contig = 0;

const box = document.querySelector(".mapbox");

function choose(i) {
  map.show(i);
  setContig(map.contig);
  details.show(i, table.choose(i));
  // Where the map is at the top of the window, the page may scroll to the row without moving the map.
  if (box.getBoundingClientRect().top < 1) document.querySelector("#table tr.chosen")?.scrollIntoView({ block: "nearest" });
}

function setContig(contig) {
  contigs.value = String(contig);
  if (table.contig === contig) return;
  table.contig = contig;
  if (table.active.has("contig")) table.refresh();
}

contigs.addEventListener("change", () => {
  map.open(Number(contigs.value));
  setContig(map.contig);
});
for (const button of document.querySelectorAll("[data-move]")) {
  button.addEventListener("click", () => map.act(button.dataset.move));
}
for (const button of document.querySelectorAll("button[data-gene]")) {
  button.addEventListener("click", () => choose(Number(button.dataset.gene)));
}
// A click on the circle of a replicon opens the gene nearest to that place. It begins at the top, clockwise.
for (const circle of document.querySelectorAll("[data-circle]")) {
  circle.addEventListener("click", (event) => {
    const { left, top, width } = circle.getBoundingClientRect();
    const turn = Math.atan2(event.clientX - left - width / 2, top + width / 2 - event.clientY) / (2 * Math.PI);
    const contig = Number(circle.dataset.circle);
    const base = ((turn + 1) % 1) * genes.contigs[contig][1];
    choose(genes.nearest(contig, base));
    box.scrollIntoView({ block: "start" });
  });
}
for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    table.only(button.dataset.filter);
    document.querySelector("#genes").scrollIntoView({ block: "start" });
  });
}
// The details stand below the map, however high that is.
new ResizeObserver(() => document.documentElement.style.setProperty("--map", box.offsetHeight + "px")).observe(box);
document.querySelector("#print").addEventListener("click", () => window.print());

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const theme = document.querySelector("#theme");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
function showTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
  map.redraw();
}
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
dark.addEventListener("change", showTheme);
showTheme();
