// The map of one contig: genes as arrows, operons as bars with the probability of each link, context fit.

const OVERVIEW = { top: 6, height: 14 };
const RULER = 40;
const LANES = { 1: 60, [-1]: 86, 0: 73 }; // top of the arrows by strand
const ARROW = 20;
const OPERON = 128;
const FIT = { top: 160, bottom: 212 };
const LEAST_SPAN = 400; // bases

class GeneMap {
  constructor(canvas, where, genes, onChoose) {
    Object.assign(this, { canvas, where, genes, onChoose });
    this.contig = 0;
    this.chosen = null;
    this.drag = null;
    this.pending = false;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => this.endDrag());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => this.zoom(0.4, this.base(event.offsetX)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.redraw()).observe(canvas);
    this.open(0);
  }

  get width() {
    return this.canvas.clientWidth || 1;
  }

  // The room for the names of the tracks; none where the page is narrow.
  get left() {
    return this.width >= 720 ? 96 : 8;
  }

  get length() {
    const stated = this.genes.contigs[this.contig][1] || 0;
    return Math.max(stated, this.last, 1);
  }

  // Opens a contig at its beginning, with about 20 genes in view.
  open(contig) {
    this.contig = contig;
    const ends = this.genes.byContig[contig].map((i) => this.genes.columns.end[i]);
    this.last = ends.reduce((a, b) => Math.max(a, b), 0);
    this.span = Math.min(this.length, Math.max(6000, this.width * 22));
    this.start = 0;
    this.redraw();
  }

  // Moves to a gene so that its neighbours are seen, too.
  show(i) {
    const contig = this.genes.columns.contig[i];
    if (contig !== this.contig) this.open(contig);
    this.chosen = i;
    const from = this.genes.columns.start[i];
    const to = this.genes.columns.end[i];
    const inside = from >= this.start + 0.08 * this.span && to <= this.start + 0.92 * this.span;
    const wide = Math.max(6000, this.width * 22);
    if (!inside || this.span > 4 * wide) {
      this.span = Math.min(this.length, Math.max(Math.min(this.span, wide), 1.4 * (to - from)));
      this.start = (from + to - this.span) / 2;
    }
    this.redraw();
  }

  limit() {
    this.span = Math.min(Math.max(this.span, LEAST_SPAN), this.length);
    this.start = Math.min(Math.max(this.start, 0), this.length - this.span);
  }

  zoom(factor, around) {
    const centre = around === undefined ? this.start + this.span / 2 : around;
    const span = Math.min(Math.max(this.span * factor, LEAST_SPAN), this.length);
    this.start = centre - ((centre - this.start) / this.span) * span;
    this.span = span;
    this.redraw();
  }

  pan(share) {
    this.start += share * this.span;
    this.redraw();
  }

  act(what) {
    if (what === "left") this.pan(-0.4);
    else if (what === "right") this.pan(0.4);
    else if (what === "in") this.zoom(0.5);
    else if (what === "out") this.zoom(2);
    else if (what === "all") this.zoom(Infinity);
    else return false;
    return true;
  }

  // The next gene (step 1) or the one before (step -1) on the contig.
  walk(step) {
    const here = this.genes.byContig[this.contig];
    if (!here.length) return;
    const place = this.chosen === null ? -1 : here.indexOf(this.chosen);
    const next = place < 0 ? this.firstInView() : here[(place + step + here.length) % here.length];
    this.onChoose(next);
  }

  firstInView() {
    const here = this.genes.byContig[this.contig];
    return here.find((i) => this.genes.columns.end[i] > this.start) ?? here[0];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", 0: "all" };
    if (event.key === "Home") this.pan(-Infinity);
    else if (event.key === "End") this.pan(Infinity);
    else if (event.key === "n" || event.key === "N") this.walk(1);
    else if (event.key === "p" || event.key === "P") this.walk(-1);
    else if (!this.act(moves[event.key])) return;
    event.preventDefault();
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(event.deltaY / 240), this.base(event.offsetX));
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX / this.width);
    else return; // the page scrolls
    event.preventDefault();
  }

  press(event) {
    const inOverview = event.offsetY < OVERVIEW.top + OVERVIEW.height + 4;
    this.drag = { x: event.offsetX, start: this.start, moved: false, inOverview };
    this.canvas.setPointerCapture(event.pointerId);
    if (inOverview) this.centre(event.offsetX);
  }

  centre(x) {
    this.start = ((x - this.left) / (this.width - this.left - 8)) * this.length - this.span / 2;
    this.redraw();
  }

  move(event) {
    if (!this.drag) {
      const hit = this.hit(event.offsetX, event.offsetY);
      this.canvas.style.cursor = hit === null ? "" : "pointer";
      this.canvas.title = hit === null ? "" : this.genes.label(hit) + ": " + this.genes.product(hit);
      return;
    }
    const distance = event.offsetX - this.drag.x;
    if (Math.abs(distance) > 3) this.drag.moved = true;
    if (this.drag.inOverview) this.centre(event.offsetX);
    else if (this.drag.moved) {
      this.canvas.classList.add("dragging");
      this.start = this.drag.start - (distance / (this.width - this.left - 8)) * this.span;
      this.redraw();
    }
  }

  release(event) {
    const drag = this.drag;
    this.endDrag();
    if (!drag || drag.moved || drag.inOverview) return;
    const hit = this.hit(event.offsetX, event.offsetY);
    if (hit !== null) this.onChoose(hit);
  }

  endDrag() {
    this.drag = null;
    this.canvas.classList.remove("dragging");
  }

  x(base) {
    return this.left + ((base - this.start) / this.span) * (this.width - this.left - 8);
  }

  base(x) {
    return this.start + ((x - this.left) / (this.width - this.left - 8)) * this.span;
  }

  inView() {
    const { start, end } = this.genes.columns;
    const stop = this.start + this.span;
    return this.genes.byContig[this.contig].filter((i) => end[i] >= this.start && start[i] - 1 <= stop);
  }

  // The gene at a point: its arrow, or anything below in its column. null without one.
  hit(x, y) {
    if (y < RULER) return null;
    const { start, end, strand } = this.genes.columns;
    const slack = 2;
    const near = this.inView().filter((i) => this.x(start[i] - 1) - slack <= x && x <= this.x(end[i]) + slack);
    const on = near.filter((i) => y >= LANES[sign(strand[i])] - 2 && y <= LANES[sign(strand[i])] + ARROW + 2);
    const found = on.length ? on : y > OPERON - 6 ? near : [];
    return found.length ? found[found.length - 1] : null;
  }

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    this.limit();
    const scale = window.devicePixelRatio || 1;
    const height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(height * scale);
    const style = getComputedStyle(document.documentElement);
    this.colours = (name) => style.getPropertyValue("--" + name).trim();
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.width, height);
    pen.lineWidth = 1;
    const shown = this.inView();
    this.drawOverview(pen);
    pen.save();
    pen.beginPath();
    pen.rect(this.left - 4, 0, this.width - this.left - 0, height);
    pen.clip();
    this.drawRuler(pen);
    this.drawOperons(pen, shown);
    this.drawFit(pen, shown);
    this.drawGenes(pen, shown);
    pen.restore();
    this.drawNames(pen);
    this.tell();
  }

  font(pen, size, weight) {
    pen.font = (weight || 400) + " " + size + 'px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
  }

  tell() {
    const name = this.genes.contigs[this.contig][0];
    const from = Math.floor(this.start) + 1;
    const to = Math.min(Math.round(this.start + this.span), this.length);
    this.where.textContent = thousands(from) + " to " + thousands(to) + " of " + thousands(this.length) + " bp";
    this.canvas.setAttribute("aria-label", "Map of genes on " + name + ", " + this.where.textContent);
  }

  // The whole contig: new EC numbers above, low context fits below, and a frame around what is in view.
  drawOverview(pen) {
    const { top, height } = OVERVIEW;
    const width = this.width - this.left - 8;
    const x = (base) => this.left + (base / this.length) * width;
    pen.fillStyle = this.colours("sunk");
    pen.fillRect(this.left, top, width, height);
    const { start, end } = this.genes.columns;
    for (const i of this.genes.byContig[this.contig]) {
      const middle = x((start[i] + end[i]) / 2);
      if (this.genes.kind(i) === "new") {
        pen.fillStyle = this.colours("new");
        pen.fillRect(middle - 0.5, top, 1.2, height / 2);
      }
      if (this.genes.isLow(i)) {
        pen.fillStyle = this.colours("low");
        pen.fillRect(middle - 0.5, top + height / 2, 1.2, height / 2);
      }
    }
    const from = x(this.start);
    pen.strokeStyle = this.colours("accent");
    pen.lineWidth = 2;
    pen.strokeRect(from, top - 2, Math.max(x(this.start + this.span) - from, 4), height + 4);
    pen.lineWidth = 1;
  }

  drawRuler(pen) {
    const wanted = this.span / Math.max((this.width - this.left) / 110, 1);
    const power = 10 ** Math.floor(Math.log10(wanted));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= wanted);
    this.font(pen, 11);
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    for (let base = Math.ceil(this.start / step) * step; base <= this.start + this.span; base += step) {
      const x = Math.round(this.x(base)) + 0.5;
      pen.strokeStyle = this.colours("line");
      pen.beginPath();
      pen.moveTo(x, RULER + 4);
      pen.lineTo(x, FIT.bottom);
      pen.stroke();
      pen.fillStyle = this.colours("dim");
      const text = step >= 1000 ? thousands(base / 1000) + " kb" : thousands(base);
      if (x - pen.measureText(text).width / 2 > this.left - 6 && x + pen.measureText(text).width / 2 < this.width) {
        pen.fillText(text, x, RULER - 2);
      }
    }
  }

  drawGenes(pen, shown) {
    const { start, end, strand } = this.genes.columns;
    const middle = LANES[-1] - 3;
    pen.strokeStyle = this.colours("line");
    pen.beginPath();
    pen.moveTo(this.left, middle + 0.5);
    pen.lineTo(this.width, middle + 0.5);
    pen.stroke();
    const taken = { 1: -Infinity, [-1]: -Infinity, 0: -Infinity };
    // The chosen gene's label has its room before all others.
    const chosen = shown.includes(this.chosen) ? this.label(pen, this.chosen) : null;
    for (const i of shown) {
      const direction = sign(strand[i]);
      const from = this.x(start[i] - 1);
      const to = this.x(end[i]);
      this.arrow(pen, from, to, LANES[direction], direction);
      const colour = this.genes.colour(i);
      const isSkipped = this.genes.text("skip", i) !== "" && this.genes.text("skip", i) !== "named";
      pen.fillStyle = this.colours(colour);
      pen.globalAlpha = isSkipped ? 0.35 : 1;
      pen.fill();
      pen.globalAlpha = 1;
      if (to - from > 2.5) {
        pen.strokeStyle = this.colours(colour === "hypothetical" || isSkipped ? "outline" : "panel");
        pen.setLineDash(isSkipped ? [3, 2] : []);
        pen.stroke();
        pen.setLineDash([]);
      }
      if (i === this.chosen) {
        pen.strokeStyle = this.colours("ink");
        pen.lineWidth = 2.5;
        pen.stroke();
        pen.lineWidth = 1;
      }
      const label = i === this.chosen ? chosen : this.label(pen, i);
      if (!label || label.from < taken[direction] + 6) continue;
      const isBlocked = chosen && label !== chosen && chosen.row === label.row && label.from < chosen.to + 6 && chosen.from < label.to + 6;
      if (isBlocked) continue;
      this.drawLabel(pen, label);
      taken[direction] = label.to;
    }
  }

  arrow(pen, from, to, top, direction) {
    const width = Math.max(to - from, 1.5);
    const head = direction === 0 ? 0 : Math.min(8, width / 2);
    const bottom = top + ARROW;
    const middle = top + ARROW / 2;
    pen.beginPath();
    if (direction >= 0) {
      pen.moveTo(from, top);
      pen.lineTo(from + width - head, top);
      pen.lineTo(from + width, middle);
      pen.lineTo(from + width - head, bottom);
      pen.lineTo(from, bottom);
    } else {
      pen.moveTo(from + width, top);
      pen.lineTo(from + head, top);
      pen.lineTo(from, middle);
      pen.lineTo(from + head, bottom);
      pen.lineTo(from + width, bottom);
    }
    pen.closePath();
  }

  // The label of a gene: its text, where it begins and ends, and its line; null where it has no room.
  label(pen, i) {
    const { start, end, strand } = this.genes.columns;
    const isChosen = i === this.chosen;
    const weight = isChosen ? 700 : 400;
    this.font(pen, 11, weight);
    const number = this.genes.list("ec_passed", i)[0];
    const choices = [this.genes.label(i) + (number ? " " + number : ""), this.genes.label(i), number || ""];
    const begin = Math.max(this.x(start[i] - 1), this.left);
    const finish = Math.min(this.x(end[i]), this.width - 4);
    const room = isChosen ? Infinity : finish - begin + 4;
    const text = choices.find((each) => each && pen.measureText(each).width <= room);
    if (!text) return null;
    const width = pen.measureText(text).width;
    const from = Math.min(Math.max((begin + finish - width) / 2, this.left), this.width - 4 - width);
    return { text, from, to: from + width, weight, row: sign(strand[i]) >= 0 ? LANES[1] - 6 : LANES[-1] + ARROW + 13 };
  }

  // Over a gene of the forward strand, under one of the other.
  drawLabel(pen, label) {
    this.font(pen, 11, label.weight);
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.fillStyle = this.colours("ink");
    pen.fillText(label.text, label.from, label.row);
  }

  // Each operon as a bar.
  drawOperons(pen, shown) {
    const { start, end } = this.genes.columns;
    const spans = new Map();
    for (const i of shown) {
      const name = this.genes.operon(i);
      if (name) spans.set(name, [...(spans.get(name) || []), i]);
    }
    this.font(pen, 10);
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    let taken = -Infinity;
    for (const members of spans.values()) {
      const from = this.x(start[members[0]] - 1);
      const to = this.x(Math.max(...members.map((i) => end[i])));
      const isChosen = this.chosen !== null && this.genes.operon(this.chosen) === this.genes.operon(members[0]);
      pen.fillStyle = this.colours(isChosen ? "accent" : "operon");
      pen.fillRect(from, OPERON, Math.max(to - from, 1), 5);
      for (let k = 0; k + 1 < members.length; k++) taken = this.drawLink(pen, members[k], members[k + 1], taken);
    }
  }

  // A link: a gap in the bar, and the probability where it touches no other; returns where that ends.
  drawLink(pen, left, right, taken) {
    const probability = this.genes.value("prob_pair_next", left);
    if (probability === null) return taken;
    const { start, end } = this.genes.columns;
    const x = this.x((end[left] + start[right]) / 2);
    const room = Math.min(this.x(end[right]) - x, x - this.x(start[left]));
    if (room < 4) return taken;
    pen.fillStyle = this.colours("panel");
    pen.fillRect(x - 1, OPERON, 2, 5);
    const text = probability.toFixed(2);
    const width = pen.measureText(text).width;
    if (x - width / 2 < taken + 5) return taken;
    pen.fillStyle = this.colours(probability < 0.7 ? "ink" : "dim");
    pen.fillText(text, x, OPERON + 17);
    return x + width / 2;
  }

  // Context fit from 0 to 100 as columns; those below the limit end in a mark.
  drawFit(pen, shown) {
    const height = FIT.bottom - FIT.top;
    pen.strokeStyle = this.colours("line");
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(FIT.bottom - share * height) + 0.5;
      pen.beginPath();
      pen.moveTo(this.left, y);
      pen.lineTo(this.width, y);
      pen.stroke();
    }
    const { start, end, context_fit: fits } = this.genes.columns;
    if (!fits) return;
    for (const i of shown) {
      if (fits[i] === null) continue;
      const from = this.x(start[i] - 1);
      const width = this.x(end[i]) - from;
      const y = FIT.bottom - (fits[i] / 100) * height;
      pen.fillStyle = this.colours("plain");
      pen.globalAlpha = 0.3;
      pen.fillRect(from, y, Math.max(width - 1, 0.5), FIT.bottom - y);
      pen.globalAlpha = 1;
      pen.fillRect(from, y - 1, Math.max(width - 1, 1), 2);
    }
    pen.fillStyle = this.colours("low");
    for (const i of shown) if (this.genes.isLow(i)) this.drawMark(pen, this.x((start[i] + end[i]) / 2));
  }

  drawMark(pen, x) {
    pen.beginPath();
    pen.moveTo(x - 5, FIT.bottom - 13);
    pen.lineTo(x + 5, FIT.bottom - 13);
    pen.lineTo(x, FIT.bottom - 4);
    pen.closePath();
    pen.fill();
  }

  drawNames(pen) {
    if (this.left < 20) return;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillStyle = this.colours("dim");
    this.font(pen, 11);
    const names = [["whole contig", OVERVIEW.top + 7], ["genes  +", LANES[1] + 10], ["genes  −", LANES[-1] + 10], ["operons", OPERON + 3], ["context fit", FIT.top + 26]];
    for (const [text, y] of names) pen.fillText(text, 14, y);
    pen.textAlign = "right";
    this.font(pen, 10);
    pen.fillText("100", this.left - 6, FIT.top + 3);
    pen.fillText("0", this.left - 6, FIT.bottom - 3);
  }
}

function sign(strand) {
  return strand === "+" ? 1 : strand === "-" ? -1 : 0;
}
