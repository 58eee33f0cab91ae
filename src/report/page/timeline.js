
// The timeline: one canvas, drawn anew for what can be seen of it.

const LABELS = 96; // pixels at the left for the lanes' names
const LABELS_NARROW = 68;
const SLOWEST = 10_000; // milliseconds at the top of a frames lane

class Timeline {
  constructor(box, spacer, canvas, on) {
    Object.assign(this, { box, spacer, canvas, on });
    this.context = canvas.getContext("2d");
    this.from = 0;
    this.to = 1;
    this.seen = new Set();
    this.selected = null;
    this.hovered = null;
    this.frame = 0;
    new ResizeObserver(() => this.resize()).observe(box);
    box.addEventListener("scroll", () => this.draw());
    box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    box.addEventListener("pointerdown", (event) => this.press(event));
    box.addEventListener("pointermove", (event) => this.move(event));
    box.addEventListener("pointerup", (event) => this.release(event));
    box.addEventListener("pointerleave", () => this.hover(null));
    box.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  }

  show(report, seen) {
    const whole = !this.report || (this.from <= 0 && this.to >= this.report.span);
    this.report = report;
    this.seen = seen;
    this.plan = layOut(report);
    this.lanes = new Map(); // of each item's test, process, …
    for (const lane of this.plan.lanes) for (const item of lane.items) this.lanes.set(itself(item), lane);
    this.testLanes = new Map(this.plan.lanes.filter((lane) => lane.kind === "tests").map((lane) => [lane.group, lane]));
    this.spacer.style.height = `${this.plan.height}px`;
    if (whole) this.fit();
    this.repaint();
  }

  repaint() {
    const style = getComputedStyle(document.documentElement);
    const names = ["surface", "text", "muted", "line", "focus", "on-bar", "quiet", "frame-p50", "frame-p99", "frame-max", "no-frames"];
    names.push(...Object.keys(WORDS), ...STATES.map((state) => `state-${state}`));
    this.colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.hatch = {};
    this.resize();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    this.labels = this.width < 600 ? LABELS_NARROW : LABELS;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.ratio = ratio;
    this.draw();
  }

  // --- time and pixels

  x(at) {
    return this.labels + ((at - this.from) / (this.to - this.from)) * (this.width - this.labels);
  }

  at(x) {
    return this.from + ((x - this.labels) / (this.width - this.labels)) * (this.to - this.from);
  }

  fit() {
    this.view(0, this.report.span * 1.005);
  }

  view(from, to) {
    const span = this.report.span * 1.005;
    const wide = Math.min(Math.max(to - from, 1), span);
    this.from = Math.min(Math.max(from, 0), span - wide);
    this.to = this.from + wide;
    this.draw();
  }

  zoom(factor, x = this.labels + (this.width - this.labels) / 2) {
    const at = this.at(Math.max(x, this.labels));
    const span = this.report.span * 1.005;
    const wide = Math.min(Math.max((this.to - this.from) * factor, 1), span);
    const share = (at - this.from) / (this.to - this.from);
    this.view(at - wide * share, at - wide * share + wide);
  }

  pan(share) {
    const wide = this.to - this.from;
    this.view(this.from + wide * share, this.to + wide * share);
  }

  // --- drawing

  draw() {
    if (this.frame || !this.report) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const began = performance.now();
      this.paint();
      this.canvas.dataset.took = (performance.now() - began).toFixed(2);
    });
  }

  paint() {
    const { context: ink, plan, width, height, colours } = this;
    ink.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ink.fillStyle = colours.surface;
    ink.fillRect(0, 0, width, height);
    const scroll = this.box.scrollTop;
    const visible = plan.lanes.filter((lane) => lane.top + lane.height > scroll && lane.top < scroll + height);
    ink.save();
    ink.beginPath();
    ink.rect(this.labels, 0, width - this.labels, height);
    ink.clip();
    this.grid(ink);
    ink.translate(0, -scroll);
    for (const lane of visible) this.lane(ink, lane);
    this.ties(ink);
    ink.restore();
    ink.save();
    ink.translate(0, -scroll);
    this.names(ink, visible);
    ink.restore();
    this.axis(ink);
  }

  grid(ink) {
    ink.strokeStyle = this.colours.line;
    ink.lineWidth = 1;
    ink.beginPath();
    for (const at of this.ticks()) {
      const x = Math.round(this.x(at)) + 0.5;
      ink.moveTo(x, 0);
      ink.lineTo(x, this.height);
    }
    ink.stroke();
  }

  ticks() {
    const aim = (this.to - this.from) / Math.max(2, (this.width - this.labels) / 110);
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5];
    const step = steps.find((step) => step >= aim) ?? Math.ceil(aim / 36e5) * 36e5;
    const ticks = [];
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) ticks.push(at);
    this.step = step;
    return ticks;
  }

  axis(ink) {
    ink.fillStyle = this.colours.surface;
    ink.fillRect(0, 0, this.width, 22);
    ink.fillStyle = this.colours.muted;
    ink.font = "11px system-ui, sans-serif";
    ink.textBaseline = "middle";
    ink.textAlign = "left";
    for (const at of this.ticks()) {
      const x = this.x(at);
      if (x < this.labels - 1 || x > this.width - 30) continue;
      const text = this.step < 1000 ? `${(at / 1000).toFixed(this.step < 10 ? 3 : this.step < 100 ? 2 : 1)} s` : clock(at);
      ink.fillText(text, x + 3, 11);
    }
    ink.fillStyle = this.colours.line;
    ink.fillRect(0, 21.5, this.width, 1);
  }

  names(ink, lanes) {
    ink.fillStyle = this.colours.surface;
    ink.fillRect(0, this.box.scrollTop, this.labels - 1, this.height);
    ink.textBaseline = "middle";
    for (const lane of lanes) {
      const title = lane.kind === "title";
      ink.font = title ? "600 12px system-ui, sans-serif" : "11px system-ui, sans-serif";
      ink.fillStyle = title ? this.colours.text : this.colours.muted;
      ink.textAlign = "left";
      const room = title ? this.width : this.labels - 12;
      ink.fillText(clip(ink, lane.label, room), 6, lane.top + lane.height / 2);
    }
    ink.fillStyle = this.colours.line;
    ink.fillRect(this.labels - 1, this.box.scrollTop, 1, this.height);
  }

  lane(ink, lane) {
    if (lane.kind === "title") {
      ink.fillStyle = this.colours.line;
      ink.fillRect(0, lane.top + lane.height / 2, this.width, 1);
    } else if (lane.kind === "frames") {
      for (const process of lane.group.processes) this.frames(ink, lane, process);
    } else if (lane.kind === "tests") {
      this.tests(ink, lane);
    } else {
      for (const item of lane.items) this.item(ink, lane, item);
    }
  }

  tests(ink, lane) {
    // The worst is drawn last: it shows also where many tests share a pixel.
    const order = ["passed", "skipped", "xfailed", "running", "xpassed", "victim", "lost", "error", "failed"];
    const by = new Map(order.map((outcome) => [outcome, []]));
    for (const item of lane.items) {
      if (item.end >= this.from && item.at <= this.to) by.get(item.test.outcome)?.push(item);
    }
    for (const [outcome, items] of by) {
      const loud = BAD.has(outcome);
      let last = -1;
      for (const item of items) {
        const x = this.x(item.at);
        const wide = Math.max(this.x(item.end) - x - 1, loud ? 3 : 1);
        if (!loud && wide <= 1 && Math.floor(x) === last) continue; // nothing new in this pixel
        last = Math.floor(x);
        this.bar(ink, x, lane.top, wide, lane.height, outcome, !this.seen.has(item.test.index));
        if (isCulprit(item.test)) this.mark(ink, x + wide / 2, lane.top);
        if (wide > 40) this.text(ink, item.test.name, x, lane.top, wide, lane.height, outcome);
        this.outline(ink, item, x, lane.top, wide, lane.height);
      }
    }
  }

  item(ink, lane, item) {
    if (item.end < this.from || item.at > this.to) return;
    const x = this.x(item.at);
    const wide = Math.max(this.x(item.end) - x - 1, 2);
    if (item.kind === "process") {
      const { process } = item;
      const states = process.states.length ? process.states : [{ at: process.start, state: process.state }];
      states.forEach((state, index) => {
        const next = states[index + 1]?.at ?? process.until;
        const left = Math.max(this.x(state.at), x);
        const right = Math.max(Math.min(this.x(next), x + wide), left + 1);
        // How it ended is a moment: what it was until then is what its bar shows.
        if (["ended", "exited"].includes(state.state) && index > 0 && right - left < 3) return;
        this.bar(ink, left, lane.top, right - left, lane.height, `state-${state.state}`);
      });
      if (wide > 46) this.text(ink, label(process), x, lane.top, wide, lane.height, `state-${states[0].state}`);
      if (process.culprit_name) {
        ink.fillStyle = this.colours.failed;
        ink.fillRect(x + wide - 2, lane.top - 2, 3, lane.height + 4);
      }
    } else if (item.kind === "episode") {
      const kind = item.episode.code === "callback_exception" ? "error" : "failed";
      this.bar(ink, x, lane.top, Math.max(wide, 4), lane.height, kind);
      if (wide > 50) this.text(ink, item.episode.code, x, lane.top, wide, lane.height, kind);
    } else {
      const good = ["ok", "alive"].includes(item.state);
      const kind = good ? (item.queued ? "state-ready" : "quiet") : "failed";
      this.bar(ink, x, lane.top + 3, wide, lane.height - 6, kind);
    }
    this.outline(ink, item, x, lane.top, wide, lane.height);
  }

  bar(ink, x, top, wide, high, kind, faint = false) {
    const right = Math.min(x + wide, this.width + 4);
    const left = Math.max(x, this.labels - 4);
    if (right <= left) return;
    ink.globalAlpha = faint ? 0.18 : 1;
    ink.fillStyle = this.colours[kind];
    ink.fillRect(left, top, right - left, high);
    // Not by colour alone: what is not the doing of the test itself is hatched.
    if (["victim", "lost", "state-degraded", "state-unreachable"].includes(kind) && right - left > 2) {
      ink.fillStyle = this.pattern(ink, kind);
      ink.fillRect(left, top, right - left, high);
    }
    ink.globalAlpha = 1;
  }

  pattern(ink, kind) {
    if (this.hatch[kind]) return this.hatch[kind];
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const draw = tile.getContext("2d");
    draw.strokeStyle = this.colours["on-bar"];
    draw.globalAlpha = 0.45;
    draw.lineWidth = 1.5;
    for (const shift of [-8, 0, 8]) {
      draw.moveTo(shift, 8);
      draw.lineTo(shift + 8, 0);
    }
    draw.stroke();
    return (this.hatch[kind] = ink.createPattern(tile, "repeat"));
  }

  text(ink, text, x, top, wide, high, kind) {
    const left = Math.max(x, this.labels) + 5;
    const room = Math.min(x + wide, this.width) - left - 4;
    if (room < 20) return;
    ink.font = "11px system-ui, sans-serif";
    ink.fillStyle = kind === "quiet" ? this.colours.text : this.colours["on-bar"];
    ink.textAlign = "left";
    ink.textBaseline = "middle";
    ink.fillText(clip(ink, text, room), left, top + high / 2 + 0.5);
  }

  mark(ink, x, top) {
    ink.fillStyle = this.colours.failed;
    ink.beginPath();
    ink.moveTo(x - 5, top - 6);
    ink.lineTo(x + 5, top - 6);
    ink.lineTo(x, top + 1);
    ink.fill();
  }

  outline(ink, item, x, top, wide, high) {
    const selected = same(item, this.selected);
    if (!selected && !same(item, this.hovered)) return;
    ink.strokeStyle = selected ? this.colours.focus : this.colours.text;
    ink.lineWidth = selected ? 3 : 1.5;
    ink.strokeRect(x - 1, top - 1, wide + 2, high + 2);
  }

  frames(ink, lane, process) {
    const y = (ms) => lane.top + lane.height * (1 - Math.min(Math.log10(Math.max(ms, 1)) / Math.log10(SLOWEST), 1));
    ink.strokeStyle = this.colours.line;
    ink.lineWidth = 1;
    for (const ms of [16.7, 1000]) {
      ink.beginPath();
      ink.moveTo(this.labels, y(ms));
      ink.lineTo(this.width, y(ms));
      ink.stroke();
    }
    const high = lane.top + lane.height;
    // A spare that waits turns its loop beside the app that is tested: it is shown from its turn on.
    const inUse = process.states.find((state) => state.state === "ok")?.at ?? process.start;
    let before = process.start;
    for (const [at, p50, p99, max] of process.frames) {
      const [from, to] = [before, at];
      before = at;
      if (to < this.from || from > this.to || to < inUse) continue;
      const x = this.x(Math.max(from, inUse));
      const wide = Math.max(this.x(to) - x, 1);
      if (p50 === null) {
        if (from === process.start) continue; // the line that a journal begins with
        ink.globalAlpha = 0.5;
        ink.fillStyle = this.colours["no-frames"];
        ink.fillRect(x, lane.top, wide, lane.height);
        ink.globalAlpha = 1;
        continue;
      }
      ink.fillStyle = max > 1000 ? this.colours.failed : this.colours["frame-max"];
      ink.fillRect(x, y(max), wide, 1.5);
      ink.fillStyle = this.colours["frame-p99"];
      ink.fillRect(x, y(p99), wide, high - y(p99));
      ink.fillStyle = this.colours["frame-p50"];
      ink.fillRect(x, y(p50), wide, high - y(p50));
    }
  }

  // Lines from a culprit to the process that it took down, and to those that could not run because of that.
  ties(ink) {
    for (const group of this.report.groups) {
      const tests = this.testLanes.get(group);
      for (const process of group.processes) {
        const culprit = this.report.tests[process.culprit];
        if (!culprit || culprit.at === undefined || culprit.group !== group.number) continue;
        const chosen = [this.selected?.test, this.selected?.process];
        const loud = chosen.includes(culprit) || chosen.includes(process);
        const from = this.x(endOf(culprit, this.report)) - 2;
        ink.strokeStyle = this.colours.failed;
        ink.globalAlpha = loud || !this.selected ? 0.9 : 0.3;
        ink.lineWidth = loud ? 2.5 : 1.25;
        const lane = this.lanes.get(process);
        if (lane) {
          const bad = process.states.find((state) => ["degraded", "exited", "unreachable"].includes(state.state));
          const to = this.x(bad?.at ?? process.until);
          this.curve(ink, from, tests.top, to, lane.top + lane.height);
        }
        ink.setLineDash([3, 3]);
        for (const victim of this.report.victims(culprit.index)) {
          if (victim.at === undefined || victim.group !== group.number) continue;
          const to = this.x((victim.at + endOf(victim, this.report)) / 2);
          if (to < this.labels || from > this.width) continue;
          const low = tests.top + tests.height;
          ink.beginPath();
          ink.moveTo(from, low);
          ink.quadraticCurveTo((from + to) / 2, low + 12, to, low);
          ink.stroke();
        }
        ink.setLineDash([]);
        ink.globalAlpha = 1;
      }
    }
  }

  curve(ink, x, y, toX, toY) {
    ink.beginPath();
    ink.moveTo(x, y);
    ink.bezierCurveTo(x, (y + toY) / 2, toX, (y + toY) / 2, toX, toY);
    ink.stroke();
  }

  // --- pointer and keys

  found(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top + this.box.scrollTop;
    if (x < this.labels) return null;
    const lane = this.plan.lanes.find((lane) => y >= lane.top - 2 && y <= lane.top + lane.height + 2);
    if (!lane) return null;
    const at = this.at(x);
    const slack = ((this.to - this.from) / (this.width - this.labels)) * 3;
    if (lane.kind === "frames") {
      for (const process of lane.group.processes) {
        const second = process.frames.find((frame) => frame[0] >= at);
        if (at >= process.start && second) return { kind: "frame", process, second, at, end: second[0] };
      }
      return null;
    }
    // The worst first, then the nearest.
    const near = lane.items.filter((item) => item.at - slack <= at && item.end + slack >= at);
    const rank = (item) => (item.test && BAD.has(item.test.outcome) ? 0 : 1);
    const away = (item) => Math.max(item.at - at, at - item.end, 0);
    return near.sort((a, b) => away(a) - away(b) || rank(a) - rank(b))[0] ?? null;
  }

  wheel(event) {
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (sideways) {
      event.preventDefault();
      this.pan(((event.deltaX || event.deltaY) / this.width) * 0.8);
    } else if (event.ctrlKey || event.metaKey || document.activeElement === this.box) {
      event.preventDefault();
      const x = event.clientX - this.canvas.getBoundingClientRect().left;
      this.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.0022), x);
    }
  }

  press(event) {
    if (event.button !== 0) return;
    this.grip = { x: event.clientX, from: this.from, to: this.to, moved: false };
  }

  move(event) {
    if (!this.grip) return this.hover(this.found(event), event);
    const by = event.clientX - this.grip.x;
    if (!this.grip.moved && Math.abs(by) > 4) {
      this.grip.moved = true;
      this.box.setPointerCapture(event.pointerId);
      this.hover(null);
    }
    if (this.grip.moved) {
      const wide = this.grip.to - this.grip.from;
      const shift = (by / (this.width - this.labels)) * wide;
      this.view(this.grip.from - shift, this.grip.to - shift);
    }
  }

  release(event) {
    const { grip } = this;
    this.grip = null;
    if (!grip || grip.moved) return;
    const item = this.found(event);
    if (item) this.on.open(item);
  }

  hover(item, event) {
    if (item !== this.hovered) this.draw();
    this.hovered = item;
    this.on.hover(item, event);
  }

  select(item, { reveal = false } = {}) {
    this.selected = item;
    if (item && reveal) {
      const wide = this.to - this.from;
      if (item.at < this.from || item.end > this.to) {
        const middle = (item.at + Math.min(item.end, item.at + wide)) / 2;
        this.view(middle - wide / 2, middle + wide / 2);
      }
      const lane = this.laneOf(item);
      if (lane && (lane.top < this.box.scrollTop + 24 || lane.top + lane.height > this.box.scrollTop + this.height)) {
        this.box.scrollTop = lane.top - 60;
      }
    }
    this.draw();
  }

  laneOf(item) {
    return this.lanes.get(itself(item));
  }

  // The item of the timeline that stands for a test or a process.
  itemOf(thing) {
    return this.lanes.get(thing)?.items.find((item) => itself(item) === thing) ?? null;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      "+": () => this.zoom(0.6),
      "=": () => this.zoom(0.6),
      "-": () => this.zoom(1 / 0.6),
      0: () => this.fit(),
      Home: () => this.view(0, this.to - this.from),
      End: () => this.view(Infinity, Infinity),
      ArrowLeft: () => (event.shiftKey ? this.pan(-0.2) : this.step_(-1)),
      ArrowRight: () => (event.shiftKey ? this.pan(0.2) : this.step_(1)),
      ArrowUp: () => this.lane_(-1),
      ArrowDown: () => this.lane_(1),
      Enter: () => this.selected && this.on.open(this.selected),
      c: () => this.on.nextCulprit(),
    };
    const act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    if (event.key === "End") {
      const wide = this.to - this.from;
      this.view(this.report.span * 1.005 - wide, this.report.span * 1.005);
    } else act();
  }

  choices(lane) {
    return lane.items.filter((item) => !item.test || this.seen.has(item.test.index));
  }

  step_(by) {
    const lane = (this.selected && this.laneOf(this.selected)) ?? this.plan.lanes.find((lane) => lane.kind === "tests");
    const items = lane ? this.choices(lane) : [];
    if (!items.length) return;
    const now = items.findIndex((item) => same(item, this.selected));
    const next = now < 0 ? 0 : Math.min(Math.max(now + by, 0), items.length - 1);
    this.choose(items[next]);
  }

  lane_(by) {
    const lanes = this.plan.lanes.filter((lane) => this.choices(lane).length);
    if (!lanes.length) return;
    const now = this.selected ? lanes.indexOf(this.laneOf(this.selected)) : -1;
    const lane = lanes[Math.min(Math.max(now + by, 0), lanes.length - 1)];
    const at = this.selected?.at ?? this.from;
    const nearest = this.choices(lane).reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a));
    this.choose(nearest);
  }

  choose(item) {
    this.select(item, { reveal: true });
    this.on.choose(item);
  }
}

// What an item stands for.
const itself = (item) => item.test ?? item.episode ?? (item.kind === "part" ? item.part.states[item.number] : item.process);

const same = (a, b) => a === b || (a && b && a.kind === b.kind && itself(a) === itself(b));

const label = (process) => `generation ${process.generation} · pid ${process.pid}`;

function clock(ms) {
  const seconds = Math.round(ms / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

const widths = new Map();

function widthOf(ink, text) {
  const known = `${ink.font}|${text}`;
  if (widths.size > 20_000) widths.clear();
  if (!widths.has(known)) widths.set(known, ink.measureText(text).width);
  return widths.get(known);
}

// As much of a text as there is room for, about: letters are taken to be of the same width.
function clip(ink, text, room) {
  const wide = widthOf(ink, text);
  if (wide <= room) return text;
  const letters = Math.floor((room / wide) * text.length) - 1;
  return letters > 0 ? `${text.slice(0, letters)}…` : "";
}
