// The table of genes: pages of rows, sorted by their headings, searched and filtered.

class Table {
  constructor(genes, onChoose) {
    Object.assign(this, { genes, onChoose });
    this.body = document.querySelector("#table tbody");
    this.columns = this.describe();
    this.sorted = { column: this.columns[0], descending: false };
    this.active = new Set();
    this.chosen = null;
    this.page = 0;
    this.makeHead();
    this.makeFilters();
    this.connect();
    this.refresh();
  }

  // The columns: heading, what they sort by, what a cell shows, and from which width of the page they are shown.
  describe() {
    const genes = this.genes;
    const place = (i) => genes.columns.contig[i] * 1e12 + genes.columns.start[i];
    const all = [
      { title: "Gene", key: place, cell: (i) => this.nameCell(i), width: "" },
      { title: "Product", key: (i) => genes.text("product", i), cell: (i) => this.productCell(i), width: "w1" },
      { title: "EC number", key: (i) => genes.text("ec_passed", i), cell: (i) => this.numberCell(i), width: "", needs: "ec_passed" },
      { title: "Confidence", key: (i) => genes.confidence(i), cell: (i) => this.confidenceCell(i), width: "w1", needs: "ec_passed" },
      { title: "In the file", key: (i) => genes.text("ec_existing", i), cell: (i) => this.existingCell(i), width: "w1", needs: "ec_existing" },
      { title: "Operon", key: (i) => genes.operon(i), cell: (i) => this.operonCell(i), width: "w2", needs: "operon" },
      { title: "Context fit", key: (i) => genes.value("context_fit", i), cell: (i) => this.fitCell(i), width: "w1", needs: "context_fit" },
      { title: "By its neighbours", key: (i) => genes.value("context_name_confidence", i), cell: (i) => this.contextCell(i), width: "w4", needs: "context_name" },
      { title: "Place", key: place, cell: (i) => this.placeCell(i), width: "w3" },
    ];
    return all.filter((column) => !column.needs || genes.has(column.needs));
  }

  nameCell(i) {
    const genes = this.genes;
    const tag = genes.text("locus_tag", i);
    const button = element("button", { type: "button", class: "link" }, ...breakable(genes.label(i)));
    const product = element("small", { class: "narrow" }, genes.product(i)); // where its own column has no room
    const context = this.contextNote(i);
    if (context) product.append(context);
    return element("td", { class: "name" }, button, tag && tag !== genes.label(i) ? element("small", {}, ...breakable(tag)) : "", product);
  }

  productCell(i) {
    const skip = this.genes.text("skip", i);
    const note = skip && skip !== "named" ? element("small", {}, "no prediction: " + skip.replaceAll("_", " ")) : "";
    return element("td", { class: "text product w1" }, this.genes.product(i), note, this.contextNote(i));
  }

  numberCell(i) {
    const numbers = this.genes.list("ec_passed", i);
    const kind = this.genes.kind(i);
    const badge = kind ? element("span", { class: "badge " + kind }, kind === "missed" ? "file only" : kind) : "";
    const names = numbers.map((number) => this.genes.names[number]).filter(Boolean);
    return element("td", { class: "text" }, element("span", { class: "ec" }, numbers.join(", ")), " ", badge, names.length ? element("small", {}, names.join("; ")) : "");
  }

  confidenceCell(i) {
    const confidence = this.genes.confidence(i);
    if (confidence === null) return element("td", { class: "number w1" });
    return element("td", { class: "number w1" }, confidence.toFixed(2), meter(confidence, this.genes.kind(i)));
  }

  existingCell(i) {
    const numbers = this.genes.list("ec_existing", i);
    return element("td", { class: "w1" }, element("span", { class: "number" }, numbers.join(", ")));
  }

  operonCell(i) {
    const name = this.genes.operon(i);
    if (!name) return element("td", { class: "number w2" });
    const confidence = this.genes.value("operon_confidence", i);
    const text = name.replace(/^glm_operon_/, "") + " · " + this.genes.text("operon_position", i);
    return element("td", { class: "number w2" }, text, confidence === null ? "" : element("small", {}, "weakest link " + confidence.toFixed(2)));
  }

  fitCell(i) {
    const fit = this.genes.value("context_fit", i);
    if (fit === null) return element("td", { class: "number w1" });
    const isLow = this.genes.isLow(i);
    const text = isLow ? element("span", { class: "low-text" }, "▼ " + fit.toFixed(1)) : fit.toFixed(0);
    return element("td", { class: "number w1" }, text, meter(fit / 100, isLow ? "low" : ""));
  }

  contextCell(i) {
    const name = this.genes.text("context_name", i);
    const confidence = this.genes.value("context_name_confidence", i);
    const numbers = this.genes.text("context_ec", i);
    const below = [numbers, confidence === null ? "" : percent(confidence)].filter(Boolean).join(" · ");
    return element("td", { class: "text w4" }, name, below ? element("small", {}, below) : "");
  }

  // The same below the product of a hypothetical protein, where its own column has no room.
  contextNote(i) {
    const name = this.genes.isHypothetical(i) ? this.genes.text("context_name", i) : "";
    return name ? element("small", { class: "beside" }, "by its neighbours: " + name) : "";
  }

  placeCell(i) {
    const { start, end, strand, contig } = this.genes.columns;
    const text = thousands(start[i]) + " " + signText(strand[i]);
    const note = this.genes.contigs.length > 1 ? this.genes.contigs[contig[i]][0] : thousands(end[i] - start[i] + 1) + " bp";
    return element("td", { class: "number w3" }, text, element("small", {}, note));
  }

  makeHead() {
    const row = document.querySelector("#table thead tr");
    for (const column of this.columns) {
      const button = element("button", { type: "button", click: () => this.sortBy(column) }, column.title);
      column.head = element("th", { scope: "col", class: column.width }, button);
      row.append(column.head);
    }
  }

  // A second click turns the order round; numbers begin with the largest, but for context fit.
  sortBy(column) {
    const isLargestFirst = column.title === "Confidence" || column.title === "By its neighbours";
    const isSame = this.sorted.column === column;
    this.sorted = { column, descending: isSame ? !this.sorted.descending : isLargestFirst };
    this.page = 0;
    this.refresh();
  }

  makeFilters() {
    const place = document.querySelector("#filters");
    this.tests = new Map();
    for (const [name, title, test] of this.genes.filters()) {
      let count = 0;
      for (let i = 0; i < this.genes.count; i++) if (test(i)) count++;
      if (!count) continue;
      this.tests.set(name, test);
      const number = element("span", {}, thousands(count));
      place.append(element("button", { type: "button", "data-name": name, "aria-pressed": "false", click: () => this.toggle(name) }, title, number));
    }
    if (this.genes.contigs.length > 1) {
      place.append(element("button", { type: "button", "data-name": "contig", "aria-pressed": "false", click: () => this.toggle("contig") }, "This contig only"));
    }
    place.append(element("button", { type: "button", "data-name": "clear", click: () => this.clear() }, "Show all"));
  }

  toggle(name) {
    if (!this.active.delete(name)) this.active.add(name);
    this.page = 0;
    this.refresh();
  }

  clear() {
    this.active.clear();
    document.querySelector("#search").value = "";
    this.page = 0;
    this.refresh();
  }

  // Shows only what one filter lets through.
  only(name) {
    this.active = new Set(this.tests.has(name) ? [name] : []);
    document.querySelector("#search").value = "";
    this.page = 0;
    this.refresh();
  }

  connect() {
    let timer = 0;
    document.querySelector("#search").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.page = 0;
        this.refresh();
      }, 80);
    });
    document.querySelector("#rows").addEventListener("change", () => this.turn(0));
    for (const button of document.querySelectorAll("[data-page]")) {
      button.addEventListener("click", () => {
        const to = { first: 0, previous: this.page - 1, next: this.page + 1, last: this.pages - 1 };
        this.turn(to[button.dataset.page]);
      });
    }
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-gene]");
      if (row) this.onChoose(Number(row.dataset.gene));
    });
    for (const kind of ["csv", "tsv"]) {
      document.querySelector("#" + kind).addEventListener("click", () => this.save(kind));
    }
  }

  get size() {
    return Number(document.querySelector("#rows").value);
  }

  get pages() {
    return Math.max(Math.ceil(this.rows.length / this.size), 1);
  }

  // Chooses the rows anew.
  refresh() {
    const tests = [...this.active].filter((name) => this.tests.has(name)).map((name) => this.tests.get(name));
    if (this.active.has("contig")) tests.push((i) => this.genes.columns.contig[i] === this.contig);
    const query = document.querySelector("#search").value.trim();
    if (query) tests.push(this.genes.matcher(query));
    this.rows = this.genes.select(tests, this.sorted.column.key, this.sorted.descending);
    for (const button of document.querySelectorAll("#filters [aria-pressed]")) {
      button.setAttribute("aria-pressed", String(this.active.has(button.dataset.name)));
    }
    document.querySelector("#filters [data-name=clear]").hidden = !query && !this.active.size;
    for (const column of this.columns) {
      const order = this.sorted.descending ? "descending" : "ascending";
      if (column === this.sorted.column) column.head.setAttribute("aria-sort", order);
      else column.head.removeAttribute("aria-sort");
    }
    const all = thousands(this.genes.count);
    const some = this.rows.length === this.genes.count ? all : thousands(this.rows.length) + " of " + all;
    document.querySelector("#count").textContent = some + " genes";
    for (const kind of ["csv", "tsv"]) document.querySelector("#" + kind).disabled = !this.rows.length;
    this.fill();
  }

  turn(page) {
    this.page = Math.min(Math.max(page, 0), this.pages - 1);
    this.fill();
  }

  fill() {
    const shown = this.rows.slice(this.page * this.size, (this.page + 1) * this.size);
    this.body.replaceChildren(...shown.map((i) => this.row(i)));
    if (!shown.length) {
      const cell = element("td", { class: "none", colspan: this.columns.length }, "No gene passes the search and the filters.");
      this.body.append(element("tr", {}, cell));
    }
    document.querySelector("#page").textContent = "Page " + thousands(this.page + 1) + " of " + thousands(this.pages);
    for (const button of document.querySelectorAll("[data-page]")) {
      const isBack = button.dataset.page === "first" || button.dataset.page === "previous";
      button.disabled = isBack ? this.page === 0 : this.page === this.pages - 1;
    }
  }

  row(i) {
    const isChosen = i === this.chosen;
    return element("tr", { "data-gene": i, class: isChosen ? "chosen" : null, "aria-current": isChosen ? "true" : null }, ...this.columns.map((column) => column.cell(i)));
  }

  // Marks a gene's row and turns to its page; false where it is not among the rows.
  choose(i) {
    this.chosen = i;
    const place = this.rows.indexOf(i);
    if (place >= 0) this.page = Math.floor(place / this.size);
    const hadFocus = this.body.contains(document.activeElement);
    this.fill();
    if (hadFocus) this.body.querySelector("tr.chosen button")?.focus({ preventScroll: true });
    return place >= 0;
  }

  save(kind) {
    const text = this.genes.exported(this.rows, kind === "csv" ? "," : "\t");
    const address = URL.createObjectURL(new Blob([text], { type: kind === "csv" ? "text/csv" : "text/tab-separated-values" }));
    const link = element("a", { href: address, download: this.genes.title + ".genes." + kind });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
}
