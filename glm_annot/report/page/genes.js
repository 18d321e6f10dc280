// The genes as the page was given them: columns of values, search, filters, order, and export.

class Genes {
  constructor(data) {
    Object.assign(this, data);
    this.count = data.columns.start.length;
    this.lists = {}; // of the columns that hold several values in one text
    this.texts = null; // what the search looks at, made when first needed
    this.byContig = data.contigs.map(() => []);
    for (let i = 0; i < this.count; i++) this.byContig[data.columns.contig[i]].push(i);
  }

  has(column) {
    return column in this.columns;
  }

  value(column, i) {
    const values = this.columns[column];
    return values ? values[i] : null;
  }

  text(column, i) {
    const value = this.value(column, i);
    return value === null ? "" : String(value);
  }

  list(column, i) {
    const text = this.text(column, i);
    return text ? text.split(",").map((part) => part.trim()) : [];
  }

  label(i) {
    return this.text("gene", i) || this.text("locus_tag", i) || this.text("id", i);
  }

  product(i) {
    return this.text("product", i) || "no product";
  }

  isHypothetical(i) {
    return this.value("hypothetical", i) === 1;
  }

  // How the predicted EC numbers compare with those of the file.
  kind(i) {
    const said = this.text("ec_agreement", i);
    return { same: "agrees", prefix: "agrees", new: "new", conflict: "differs", missed: "missed" }[said] || "";
  }

  // The colour of the gene on the map.
  colour(i) {
    return this.kind(i) || (this.isHypothetical(i) ? "hypothetical" : "named");
  }

  confidence(i) {
    const first = this.list("ec_passed_confidence", i)[0];
    return first === undefined ? null : Number(first);
  }

  isLow(i) {
    const fit = this.value("context_fit", i);
    return fit !== null && fit < this.lowFit;
  }

  // The gene of a contig whose middle is nearest to a base.
  nearest(contig, base) {
    const { start, end } = this.columns;
    const distance = (i) => Math.abs((start[i] + end[i]) / 2 - base);
    return this.byContig[contig].reduce((best, i) => (distance(i) < distance(best) ? i : best));
  }

  operon(i) {
    const name = this.text("operon", i);
    return name && name !== "none" ? name : "";
  }

  filters() {
    const found = [
      ["hypothetical", "Hypothetical", (i) => this.isHypothetical(i)],
      ["new", "New EC", (i) => this.kind(i) === "new"],
      ["agrees", "EC agrees", (i) => this.kind(i) === "agrees"],
      ["differs", "EC differs", (i) => this.kind(i) === "differs"],
      ["missed", "EC in file only", (i) => this.kind(i) === "missed"],
      ["low", "Low context fit", (i) => this.isLow(i)],
    ];
    if (this.has("context_name")) found.push(["context", "Named by neighbours", (i) => this.text("context_name", i) !== ""]);
    return found;
  }

  // Whether a gene has every word of the search. A word like 2.7.1 means EC numbers under it, and only those.
  matcher(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = words.map((word) => {
      const number = /^(?:ec:?)?(\d+(?:\.(?:n?\d+|-))+)\.?$/.exec(word);
      return number ? (i) => this.hasNumber(i, number[1]) : (i) => this.searched(i).includes(word);
    });
    return (i) => tests.every((test) => test(i));
  }

  hasNumber(i, number) {
    const stem = number.replace(/[.-]+$/, "");
    return ["ec_passed", "ec_existing", "context_ec"].some((column) =>
      this.list(column, i).some((each) => each === stem || each.startsWith(stem + ".")),
    );
  }

  searched(i) {
    if (!this.texts) this.texts = new Array(this.count);
    if (this.texts[i] === undefined) {
      const columns = ["locus_tag", "id", "gene", "product", "ec_name", "operon", "skip", "context_name", "context_genera"];
      const names = this.list("ec_existing", i).map((number) => this.names[number] || "");
      const contig = this.contigs[this.columns.contig[i]][0];
      this.texts[i] = [...columns.map((column) => this.text(column, i)), ...names, contig].join("\n").toLowerCase();
    }
    return this.texts[i];
  }

  // The genes that pass, in order of `key`: a function from gene to number or text. Empty values come last.
  select(tests, key, descending) {
    const shown = [];
    for (let i = 0; i < this.count; i++) if (tests.every((test) => test(i))) shown.push(i);
    const keys = new Map(shown.map((i) => [i, key(i)]));
    const sign = descending ? -1 : 1;
    const isEmpty = (value) => value === null || value === "";
    return shown.sort((a, b) => {
      const x = keys.get(a);
      const y = keys.get(b);
      if (isEmpty(x) || isEmpty(y)) return isEmpty(x) - isEmpty(y) || a - b;
      const order = typeof x === "number" ? x - y : COLLATOR.compare(x, y);
      return sign * order || a - b;
    });
  }

  // The rows as text with one line each; all columns of the table that glm-annot wrote.
  exported(rows, separator) {
    const lines = [this.header.join(separator)];
    for (const i of rows) lines.push(this.header.map((column) => quoted(this.cell(column, i), separator)).join(separator));
    return lines.join("\n") + "\n";
  }

  cell(column, i) {
    const value = this.value(column, i);
    if (column === "contig") return this.contigs[value][0];
    if (value === null) return "";
    if (column in this.decimals) return value.toFixed(this.decimals[column]);
    // A spreadsheet would take a text that begins so for a formula; a lone sign is a strand.
    return typeof value === "string" && /^[=+@-]./.test(value) ? "'" + value : String(value);
  }
}

const COLLATOR = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function quoted(text, separator) {
  return /["\r\n\t]/.test(text) || text.includes(separator) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function thousands(number) {
  return number.toLocaleString("en");
}

function signText(strand) {
  return strand === "-" ? "−" : strand;
}

function percent(share) {
  return share > 0.995 && share < 1 ? "> 99 %" : Math.round(100 * share) + " %";
}

// An element with attributes and children; texts become text nodes, never markup.
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "click") made.addEventListener("click", value);
    else if (value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// A name that may go on in a second line behind an underscore, before it is broken anywhere else.
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, n) => (n ? [element("wbr"), part] : [part]));
}

function meter(share, kind) {
  const fill = element("i");
  fill.style.width = 100 * share + "%";
  return element("span", { class: "meter " + kind, "aria-hidden": "true" }, fill);
}
