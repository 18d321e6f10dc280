// What is known of the gene that was chosen.

// Columns that have a place of their own here; what else the table holds is listed by name.
const PLACED = new Set([
  ...["contig", "start", "end", "strand", "locus_tag", "id", "gene", "product", "hypothetical", "skip"],
  ...["ec_existing", "ec_passed", "ec_passed_confidence", "ec_name", "ec_agreement", "ec_candidates"],
  ...["ec_candidates_confidence", "enzyme_confidence", "evidence", "operon", "operon_position", "operon_confidence"],
  ...["prob_pair_prev", "prob_pair_next", "context_fit", "context_confidence", "context_name", "context_ec"],
  ...["context_name_confidence", "context_genera", "context_neighbours"],
]);

class Details {
  constructor(genes, onChoose, onWalk, onClose) {
    Object.assign(this, { genes, onChoose, onWalk, onClose });
    this.place = document.querySelector("#details");
    this.close();
  }

  close() {
    this.place.classList.add("empty");
    document.body.classList.remove("chosen");
    this.place.replaceChildren(element("h2", {}, "Gene"), element("p", { class: "hint" }, "Choose a gene in the map or in the table: its predictions, and what speaks for them, are shown here."));
  }

  show(i, isInTable) {
    this.place.classList.remove("empty");
    document.body.classList.add("chosen");
    const parts = [...this.head(i), ...this.numbers(i), ...this.context(i), ...this.operon(i), ...this.others(i)];
    if (!isInTable) parts.push(element("p", { class: "dim outside" }, "This gene is not among the rows of the table now."));
    this.place.replaceChildren(...parts);
    this.place.scrollTop = 0;
  }

  head(i) {
    const { start, end, strand, contig } = this.genes.columns;
    const tags = [this.genes.text("locus_tag", i), this.genes.text("id", i)].filter((tag, k, all) => tag && tag !== this.genes.label(i) && all.indexOf(tag) === k);
    const place = this.genes.contigs[contig[i]][0] + ": " + thousands(start[i]) + " to " + thousands(end[i]) + " (" + signText(strand[i]) + "), " + thousands(end[i] - start[i] + 1) + " bp";
    const skip = this.genes.text("skip", i);
    const toMap = () => document.querySelector(".mapbox").scrollIntoView({ block: "start" });
    const map = element("button", { type: "button", class: "to-map", click: toMap }, "Map");
    const walk = element("div", { class: "walk" }, this.step("← Gene before", -1), this.step("Next gene →", 1), map);
    return [
      element("button", { type: "button", class: "close", "aria-label": "Close", click: this.onClose }, "✕"),
      element("h2", {}, this.genes.label(i)),
      element("p", {}, this.genes.product(i)),
      element("p", { class: "dim" }, [place, ...tags].join(" · ")),
      skip && skip !== "named" ? element("p", { class: "dim" }, "No prediction: " + skip.replaceAll("_", " ") + ".") : "",
      walk,
    ].filter(Boolean);
  }

  step(text, by) {
    return element("button", { type: "button", click: () => this.onWalk(by) }, text);
  }

  numbers(i) {
    const genes = this.genes;
    const passed = genes.list("ec_passed", i);
    const confidences = genes.list("ec_passed_confidence", i).map(Number);
    const existing = genes.list("ec_existing", i);
    const parts = [];
    if (passed.length) {
      parts.push(element("h3", {}, "Predicted EC number"));
      passed.forEach((number, k) => parts.push(this.call(number, confidences[k], genes.kind(i))));
      const [source, nearest] = genes.list("evidence", i);
      if (source) parts.push(element("p", { class: "dim" }, "Decided by " + (genes.evidence[source] || source) + "."));
      if (nearest) {
        const [name, identity, coverage] = nearest.split(":");
        parts.push(element("p", { class: "dim" }, "Nearest labelled protein with this number: " + name + ", " + identity + " % identical over " + coverage + " % of both."));
      }
    }
    if (existing.length) {
      const says = { agrees: "agrees", differs: "differs", missed: "the model calls none" }[genes.kind(i)];
      parts.push(element("h3", {}, "In the file" + (says ? ": " + says : "")));
      existing.forEach((number) => parts.push(this.call(number, null, "")));
    }
    const candidates = genes.list("ec_candidates", i);
    const chances = genes.list("ec_candidates_confidence", i).map(Number);
    const others = candidates.map((number, k) => [number, chances[k]]).filter(([number, chance]) => !passed.includes(number) && chance >= 0.005);
    if (others.length) {
      parts.push(element("h3", {}, "Below the threshold"));
      others.forEach(([number, chance]) => parts.push(this.call(number, chance, "", true)));
    }
    const enzyme = genes.value("enzyme_confidence", i);
    if (enzyme !== null) parts.push(element("p", { class: "dim" }, "An enzyme at all: " + percent(enzyme) + "."));
    return parts;
  }

  call(number, confidence, kind, isWeak) {
    const shown = confidence === null ? "" : element("span", { class: "number" }, confidence.toFixed(2), meter(confidence, kind));
    return element("div", { class: "call" }, element("span", { class: isWeak ? "ec weak" : "ec " + kind }, number), element("span", {}, this.genes.names[number] || ""), shown);
  }

  context(i) {
    const genes = this.genes;
    const fit = genes.value("context_fit", i);
    const known = genes.value("context_confidence", i);
    const parts = [];
    const name = genes.text("context_name", i);
    if (name) {
      const confidence = genes.value("context_name_confidence", i);
      const numbers = genes.text("context_ec", i);
      const end = [numbers && "EC " + numbers, confidence === null ? "" : percent(confidence)].filter(Boolean).join(", ");
      parts.push(element("p", {}, "Its neighbours name it: ", element("b", {}, name), end ? " (" + end + ")" : "", "."));
    }
    const genera = genes.text("context_genera", i);
    if (genera) parts.push(element("p", { class: "dim" }, "Genera with the same gene between these neighbours: " + genera.replace("/", " of ") + "."));
    const neighbours = genes.text("context_neighbours", i);
    if (neighbours) parts.push(element("p", { class: "dim" }, "Elsewhere beside its family: " + beside(neighbours) + "."));
    if (fit !== null) {
      const isLow = genes.isLow(i);
      const text = "Context fit " + fit.toFixed(1) + ": fits its neighbours better than " + fit.toFixed(0) + " % of the genes of held-out genomes" + (isLow ? ". Unexpected here: acquired lately, miscalled, or a rare neighbourhood." : ".");
      parts.push(element("p", { class: isLow ? "low-text" : null }, text));
    }
    if (known !== null) parts.push(element("p", { class: "dim" }, "Probability of what the neighbours make likeliest here, this gene or another: " + percent(known) + "."));
    return parts.length ? [element("h3", {}, "Context"), ...parts] : [];
  }

  others(i) {
    const names = this.genes.header.filter((name) => !PLACED.has(name) && this.genes.text(name, i) !== "");
    const rows = names.map((name) => element("p", {}, element("span", { class: "dim" }, name.replaceAll("_", " ") + ": "), this.genes.text(name, i)));
    return rows.length ? [element("h3", {}, "More of the table"), ...rows] : [];
  }

  operon(i) {
    const genes = this.genes;
    const name = genes.operon(i);
    if (!name) return [];
    const members = genes.byContig[genes.columns.contig[i]].filter((j) => genes.operon(j) === name);
    const rows = members.map((j, k) => {
      const link = k + 1 < members.length ? genes.value("prob_pair_next", j) : null;
      const button = element("button", { type: "button", class: "link", click: () => this.onChoose(j) }, genes.label(j));
      const dim = element("span", { class: "dim" }, " " + genes.product(j));
      const chance = element("span", { class: "dim number" }, link === null ? "" : "↓ " + link.toFixed(2));
      return element("li", { class: j === i ? "self" : null }, element("span", {}, button, dim), chance);
    });
    const confidence = genes.value("operon_confidence", i);
    const note = confidence === null ? "" : element("p", { class: "dim" }, "Weakest link " + confidence.toFixed(2) + "; ↓ is the probability that a gene shares the operon with the next one.");
    return [element("h3", {}, "Operon " + name.replace(/^glm_operon_/, "") + ", " + members.length + " genes"), note, element("ol", {}, ...rows)].filter(Boolean);
  }
}

// 'ribBA:51/76,ribC:39/76' in words.
function beside(neighbours) {
  const said = neighbours.split(",").map((each) => /^(.*):(\d+)\/(\d+)$/.exec(each));
  return said.every(Boolean) ? said.map(([, name, number, of]) => name + " in " + number + " of " + of + " genera").join(", ") : neighbours;
}
