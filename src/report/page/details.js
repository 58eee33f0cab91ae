
// What is known of one thing. Text is only ever put in as text.

function make(name, options = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key === "click") element.addEventListener("click", value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const badge = (kind, text) => make("span", { class: `badge ${kind}` }, text);

function outcome(test) {
  const [sign, word] = WORDS[test.outcome] ?? ["?", test.outcome];
  return badge(test.outcome, `${sign} ${isCulprit(test) ? "culprit" : word}`);
}

function facts(entries) {
  const list = make("dl");
  for (const [name, value] of entries) {
    if (value === undefined || value === null || value === "" || value === false) continue;
    list.append(make("dt", {}, name), make("dd", {}, ...(Array.isArray(value) ? value : [value])));
  }
  return list;
}

function block(title, text, { open = false } = {}) {
  if (!text) return null;
  return make("details", { open }, make("summary", {}, title), make("pre", {}, text));
}

function copyable(text) {
  const done = make("span", { class: "done", role: "status" });
  const code = make("code", { class: "command" }, text);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      done.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard for a file in this browser
      done.textContent = "selected: copy it with Ctrl-C";
    }
  };
  return make("div", { class: "copy" }, code, make("button", { type: "button", click: copy }, "Copy"), done);
}

class Details {
  constructor(panel, go, close) {
    Object.assign(this, { panel, go, close });
  }

  show(report, item) {
    this.report = report;
    const parts = { test: this.test, process: this.process, episode: this.episode, part: this.part, frame: this.frame };
    const [title, ...body] = parts[item.kind].call(this, item);
    const shut = make("button", { type: "button", class: "close", "aria-label": "Close", click: this.close }, "×");
    const head = make("div", { class: "head" }, make("h2", { id: "details-title" }, title), shut);
    this.panel.replaceChildren(head, ...body.filter(Boolean));
    this.panel.hidden = false;
    this.panel.scrollTop = 0;
  }

  link(item, text) {
    return make("a", { href: address(this.report, item) }, text);
  }

  linkTest(index) {
    const test = this.report.tests[index];
    return test && this.link({ kind: "test", test }, test.id);
  }

  linkProcess(process) {
    return process && this.link({ kind: "process", process }, label(process));
  }

  test({ test }) {
    const { report } = this;
    const process = processOf(report, test);
    const group = report.groups[test.group];
    const victims = report.victims(test.index);
    const down = test.culprits.map((index) => group.processes[index]);
    const alone = report.groups.length < 2;
    return [
      test.name || report.files[test.file].name,
      make("p", { class: "line" }, outcome(test), test.took !== undefined && make("span", {}, duration(test.took))),
      facts([
        ["File", report.files[test.file].name + (test.line ? `:${test.line}` : "")],
        ["Began", test.at !== undefined && `${duration(test.at) || "0 s"} after the start`],
        ["Ran in", !alone && group?.name],
        ["On", this.linkProcess(process)],
        ["Took down", down.length && down.map((process) => make("div", {}, this.linkProcess(process), process.why ? `: ${process.why}` : ""))],
        ["Blame", down.some((process) => process.inferred) && "inferred: the test was not running any more"],
        ["Culprit", test.culprit !== undefined && this.linkTest(test.culprit)],
        ["Re-runs", test.reruns],
        ["Victims", victims.length && victims.map((victim) => make("div", {}, this.linkTest(victim.index)))],
      ]),
      ...(test.pictures ?? []).map((source) => this.picture(source)),
      test.reproduce && make("h3", {}, "Reproduce"),
      test.reproduce && copyable(test.reproduce),
      block("What it said", test.message, { open: true }),
      ...(BAD.has(test.outcome) && process ? this.evidence(process, !test.message.includes("Traceback")) : []),
    ];
  }

  picture(source) {
    if (!source.startsWith("data:image/png;base64,")) {
      return make("p", {}, make("a", { href: source }, "Picture of the app"));
    }
    const picture = make("img", { src: source, alt: "The app when the test ended" });
    return make("figure", {}, picture, make("figcaption", {}, "The app when the test ended"));
  }

  evidence(process, open) {
    const traceback = process.episodes.find((episode) => episode.traceback)?.traceback;
    return [
      block("Traceback of the app", traceback, { open }),
      block("The app's standard error, its end", process.stderr),
      block("Stacks of its threads", process.stacks),
      block("Health, as its agent said it last", pretty(process.health)),
      this.files(process),
    ];
  }

  files(process) {
    if (!process.files.length) return null;
    const links = process.files.map(([name, url]) => make("li", {}, make("a", { href: url }, name)));
    return make("div", {}, make("h3", {}, "Files"), make("ul", { class: "links" }, ...links));
  }

  process({ process }) {
    const { report } = this;
    const group = report.groups[process.group];
    const tests = group.tests.filter((test) => test.process === process.index);
    const bad = tests.filter((test) => BAD.has(test.outcome));
    const culprit = process.culprit ?? null;
    const states = process.states.map((state) =>
      make("tr", {}, make("td", {}, duration(state.at)), make("td", {}, badge(`state-${state.state}`, state.state)), make("td", {}, state.why ?? "")),
    );
    return [
      `Generation ${process.generation}`,
      make("p", { class: "line" }, badge(`state-${process.state}`, process.state), make("span", {}, duration(process.until - process.start))),
      facts([
        ["Why it is there", process.because],
        ["Why it went", process.why],
        ["Culprit", culprit !== null ? this.linkTest(culprit) : process.culprit_name],
        ["Blame", process.inferred && "inferred: the test was not running any more"],
        ["Process", `pid ${process.pid}`],
        ["Command", make("code", {}, process.command)],
        ["Start to ok", process.ready_ms !== null && duration(process.ready_ms)],
        ["Last words", process.last_words !== "clean" && process.last_words],
        ["Tests", `${tests.length}, of which ${bad.length} did not pass`],
      ]),
      states.length && make("table", { class: "small" }, make("caption", {}, "States"), make("tbody", {}, ...states)),
      process.episodes.length &&
        make("table", { class: "small" }, make("caption", {}, "Episodes"), make("tbody", {}, ...process.episodes.map((episode) => this.row(episode)))),
      ...this.evidence(process, true),
    ];
  }

  row(episode) {
    const lasted = episode.end === null ? "to the end" : duration(episode.end - episode.at);
    return make("tr", {}, make("td", {}, duration(episode.at)), make("td", {}, `${episode.code} [${episode.component}]`), make("td", {}, `${lasted}: ${episode.message}`));
  }

  episode({ episode, process }) {
    return [
      episode.code,
      facts([
        ["What", episode.message],
        ["Of", episode.component],
        ["Began", `${duration(episode.at)} after the start`],
        ["Lasted", episode.end === null ? "to the end" : duration(episode.end - episode.at)],
        ["In", this.linkProcess(process)],
      ]),
      block("Traceback", episode.traceback, { open: true }),
      this.files(process),
    ];
  }

  part({ part, process, state, queued, at, end }) {
    return [
      part.name,
      facts([
        ["Kind", part.kind],
        ["State", state],
        ["Queued", queued],
        ["From", `${duration(at)} after the start, for ${duration(end - at)}`],
        ["In", this.linkProcess(process)],
      ]),
    ];
  }

  frame({ process, second }) {
    const [at, p50, p99, max, beats] = second;
    const ms = (value) => (value === null ? "none" : `${value.toFixed(1)} ms`);
    return [
      "Frames",
      facts([
        ["Until", `${duration(at)} after the start`],
        ["Frames", beats],
        ["Median", ms(p50)],
        ["99th percentile", ms(p99)],
        ["Longest", ms(max)],
        ["In", this.linkProcess(process)],
      ]),
    ];
  }
}

function pretty(text) {
  if (!text) return null;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// The part of the page's address that leads to a thing.
function address(report, item) {
  if (item.kind === "test") {
    const twins = report.tests.filter((test) => test.id === item.test.id);
    const which = twins.length > 1 ? `&nth=${twins.indexOf(item.test) + 1}` : "";
    return `#test=${encodeURIComponent(item.test.id)}${which}`;
  }
  const { process } = item;
  return `#process=${process.group + 1}.${process.index + 1}`;
}

function addressed(report, hash) {
  const given = new URLSearchParams(hash.replace(/^#/, "").replaceAll("+", "%2B"));
  const id = given.get("test");
  if (id !== null) {
    const twins = report.tests.filter((test) => test.id === id);
    const test = twins[Number(given.get("nth") ?? 1) - 1] ?? twins[0];
    return test ? { kind: "test", test, at: test.at ?? 0, end: test.at === undefined ? 0 : endOf(test, report) } : null;
  }
  const [group, index] = (given.get("process") ?? "").split(".").map((number) => Number(number) - 1);
  const process = report.groups[group]?.processes[index];
  return process ? { kind: "process", process, at: process.start, end: process.until } : null;
}
