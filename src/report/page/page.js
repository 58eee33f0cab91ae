
// The page: what is seen, and what a click or a key does.

const find = (id) => document.getElementById(id);
const wanted = new Set();
const open_files = new Set();
const FIRST_CULPRITS = 6;
let every_culprit = false;
let report = read(find("data").textContent);
let seen = select(report, wanted, "");
let returnTo = null;

const timeline = new Timeline(find("timeline"), find("spacer"), find("canvas"), {
  open: (item) => open(item),
  hover: (item, event) => tip(item, event),
  choose: (item) => (find("spoken").textContent = describe(item)),
  nextCulprit: () => nextCulprit(),
});
const details = new Details(find("details"), (item) => open(item), () => close());

function describe(item) {
  const { test, process, episode, part, second } = item;
  if (test) return `${isCulprit(test) ? "culprit" : (WORDS[test.outcome]?.[1] ?? test.outcome)}: ${test.id}, ${duration(test.took)}`;
  if (episode) return `${episode.code}: ${episode.message}`;
  if (part) return `${part.name}: ${item.state}${item.queued ? `, ${item.queued} queued` : ""}`;
  if (second) {
    const [, p50, p99, max, beats] = second;
    return p50 === null ? "no frames in this second" : `${beats} frames: median ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, longest ${max.toFixed(1)} ms`;
  }
  return `${label(process)}: ${process.state}${process.why ? `, ${process.why}` : ""}`;
}

function tip(item, event) {
  const box = find("tip");
  box.hidden = !item;
  if (!item) return;
  box.textContent = describe(item);
  const wide = Math.min(420, innerWidth - 16);
  box.style.maxWidth = `${wide}px`;
  box.style.left = `${Math.max(8, Math.min(event.clientX + 12, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${Math.min(event.clientY + 16, innerHeight - box.offsetHeight - 8)}px`;
}

function open(item, { focus = true } = {}) {
  if (document.activeElement && !find("details").contains(document.activeElement)) returnTo = document.activeElement;
  if (item.kind === "test" || item.kind === "process") {
    const to = address(report, item);
    if (location.hash !== to) history.pushState(null, "", to);
  }
  reveal(item, focus);
}

function reveal(item, focus) {
  details.show(report, item);
  document.body.classList.add("has-details");
  timeline.select(item, { reveal: true });
  if (focus) find("details").focus({ preventScroll: true });
}

function close() {
  find("details").hidden = true;
  document.body.classList.remove("has-details");
  timeline.select(null);
  if (location.hash) history.pushState(null, "", location.pathname + location.search);
  (returnTo?.isConnected ? returnTo : find("timeline")).focus({ preventScroll: true });
}

function follow() {
  const item = addressed(report, location.hash);
  if (item) reveal(item, true);
  else if (!location.hash && !find("details").hidden) close();
}

function nextCulprit() {
  const culprits = report.tests.filter(isCulprit);
  if (!culprits.length) return;
  const now = culprits.indexOf(timeline.selected?.test);
  const item = timeline.itemOf(culprits[(now + 1) % culprits.length]);
  if (item) timeline.choose(item);
}

// --- what stands around the timeline

function head() {
  find("run").textContent = report.run;
  find("sentence").textContent = report.sentence;
  find("sentence").className = report.bad ? "bad" : "good";
  document.querySelector(".logo").classList.toggle("bad", report.bad);
  const state = find("state");
  const words = { running: "running", killed: "pytest was killed", unknown: "its pytest is out of sight" };
  state.textContent = words[report.state] ?? "";
  state.className = report.state === "finished" ? "" : `badge ${report.state === "running" ? "running" : "lost"}`;
  const began = new Date(report.zero_ms);
  state.after(make("span", { class: "when" }, `${began.toLocaleString()} · ${duration(report.span)}`));
  find("run").parentElement.querySelectorAll(".when").forEach((element, index) => index && element.remove());
  const numbers = new Map();
  for (const test of report.tests) numbers.set(test.outcome, (numbers.get(test.outcome) ?? 0) + 1);
  const items = Object.keys(WORDS)
    .filter((outcome) => numbers.has(outcome))
    .map((outcome) => make("li", {}, badge(outcome, `${WORDS[outcome][0]} ${outcomes(numbers.get(outcome), outcome)}`)));
  const processes = report.groups.flatMap((group) => group.processes);
  items.push(make("li", {}, badge("plain", count(processes.length, "process", "processes"))));
  if (report.groups.length > 1) items.push(make("li", {}, badge("plain", count(report.groups.length, "pytest", "pytests"))));
  find("counts").replaceChildren(...items);
}

// Those to begin with: each test that took a process down, then what failed by itself, then processes that went alone.
function culprits() {
  const cards = report.tests.filter(isCulprit).map((test) => {
    const process = report.groups[test.group].processes[test.culprits[0]];
    const victims = report.victims(test.index).length;
    const rest = victims ? ` · ${count(victims, "test")} did not run because of it` : "";
    return card({ kind: "test", test }, outcome(test), test.id, process.why ?? "", `took down ${label(process)}${rest}`);
  });
  for (const process of report.groups.flatMap((group) => group.processes)) {
    if (["degraded", "exited", "unreachable"].includes(process.state) && !process.culprit_name) {
      cards.push(card({ kind: "process", process }, badge(`state-${process.state}`, process.state), label(process), process.why ?? "", "no test is blamed"));
    }
  }
  for (const test of report.tests) {
    if (isCulprit(test) || !["failed", "error", "lost", "xpassed"].includes(test.outcome)) continue;
    cards.push(card({ kind: "test", test }, outcome(test), test.id, gist(test), ""));
  }
  const shown = every_culprit ? cards : cards.slice(0, FIRST_CULPRITS);
  if (cards.length > shown.length) {
    const all = () => {
      every_culprit = true;
      culprits();
      find("culprit-list").children[FIRST_CULPRITS].firstChild.focus();
    };
    shown.push(make("li", { class: "more" }, make("button", { type: "button", click: all }, `Show all ${cards.length}`)));
  }
  find("culprits").hidden = !cards.length;
  find("culprit-list").replaceChildren(...shown);
}

function card(item, mark, name, why, rest) {
  const link = make("a", { href: address(report, item), class: "card" }, mark, make("strong", {}, name), why && make("span", { class: "why" }, why), rest && make("small", {}, rest));
  return make("li", {}, link);
}

// The line of a failure that says most: the last that pytest marks as the error.
function gist(test) {
  if (test.outcome === "lost") return "its pytest ended before it did";
  const errors = test.message.split("\n").filter((line) => line.startsWith("E "));
  return (errors[0] ?? test.message.trim().split("\n").at(-1) ?? "").replace(/^E\s+/, "");
}

function legend() {
  const entries = [
    ["passed", "passed"], ["failed", "failed, culprit ▾"], ["victim", "victim"], ["lost", "cut off"], ["skipped", "skipped"],
    ["state-starting", "starting"], ["state-ready", "spare, ready"], ["state-ok", "ok"], ["state-degraded", "degraded"],
    ["frame-p50", "frame p50"], ["frame-p99", "p99"], ["no-frames", "no frames"],
  ];
  find("legend").replaceChildren(...entries.map(([kind, text]) => make("li", {}, make("span", { class: `key ${kind}`, "aria-hidden": "true" }), text)));
}

function filters() {
  const buttons = Object.entries(FILTERS).map(([name, [text]]) =>
    make("button", {
      type: "button",
      id: `filter-${name}`,
      "aria-pressed": String(wanted.has(name)),
      click: () => {
        if (!wanted.delete(name)) wanted.add(name);
        find(`filter-${name}`).setAttribute("aria-pressed", String(wanted.has(name)));
        narrow();
      },
    }, text),
  );
  find("filters").replaceChildren(...buttons);
}

function narrow() {
  seen = select(report, wanted, find("search").value);
  timeline.seen = seen;
  timeline.draw();
  table();
}

// --- the table of files

function table() {
  const narrowed = wanted.size > 0 || find("search").value.trim() !== "";
  const rows = [];
  let files = 0;
  for (const file of report.files) {
    const tests = file.tests.filter((test) => seen.has(test.index));
    if (!tests.length && (narrowed || !file.notes.length)) continue;
    files += 1;
    rows.push(...fileRows(file, tests, narrowed));
  }
  find("rows").replaceChildren(...rows);
  find("shown").textContent = narrowed ? `${count(seen.size, "test")} in ${count(files, "file")} of ${report.files.length}` : "";
}

function fileRows(file, tests, narrowed) {
  const shown = open_files.has(file.name) || (narrowed && seen.size <= 200);
  const toggle = make("button", {
    type: "button",
    class: "toggle",
    "aria-expanded": String(shown),
    click: () => {
      if (!open_files.delete(file.name)) open_files.add(file.name);
      table();
      [...document.querySelectorAll("button.toggle")].find((button) => button.textContent === file.name)?.focus();
    },
  }, file.name);
  const numbers = new Map();
  for (const test of tests) {
    const kind = isCulprit(test) ? "failed culprit" : test.outcome;
    numbers.set(kind, (numbers.get(kind) ?? 0) + 1);
  }
  const badges = [...numbers].map(([kind, number]) => {
    const plain = kind.split(" ")[0];
    const word = kind.endsWith("culprit") ? count(number, "culprit") : outcomes(number, plain);
    return badge(plain, `${WORDS[plain]?.[0] ?? ""} ${word}`);
  });
  const took = tests.reduce((sum, test) => sum + (test.took ?? 0), 0);
  const notes = file.notes.map((note) => make("div", { class: "note" }, note));
  const row = make("tr", { class: "file" }, make("th", { scope: "row" }, toggle), make("td", { class: "badges" }, ...badges), make("td", { class: "number" }, duration(took)), make("td", {}, ...notes));
  return shown ? [row, ...tests.map(testRow)] : [row];
}

function testRow(test) {
  const process = processOf(report, test);
  const link = make("a", { href: address(report, { kind: "test", test }) }, test.name || "(the file)");
  return make("tr", { class: "test" }, make("td", {}, link), make("td", {}, outcome(test)), make("td", { class: "number" }, duration(test.took)), make("td", {}, process ? `generation ${process.generation}` : ""));
}

function remarks() {
  find("remarks").hidden = !report.remarks.length;
  find("remark-list").replaceChildren(...report.remarks.map((remark) => make("li", {}, remark)));
}

function show() {
  head();
  culprits();
  remarks();
  seen = select(report, wanted, find("search").value);
  timeline.show(report, seen);
  table();
}

// --- while the run goes on

async function listen(ask) {
  let after = 0;
  for (;;) {
    try {
      const answer = await fetch(`${ask}&after=${after}`, { cache: "no-store" });
      if (answer.status === 200) {
        after = Number(answer.headers.get("x-livegui-seq"));
        report = read(await answer.text());
        show();
        const item = addressed(report, location.hash);
        if (item && !find("details").hidden) timeline.select(item);
      } else if (answer.status !== 204) throw new Error(String(answer.status));
    } catch {
      if (report.state !== "running") return;
      find("state").textContent = "livegui report --serve has ended: this page is no longer kept up to date";
      find("state").className = "badge lost";
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

find("search").addEventListener("input", narrow);
find("zoom-in").addEventListener("click", () => timeline.zoom(0.6));
find("zoom-out").addEventListener("click", () => timeline.zoom(1 / 0.6));
find("zoom-fit").addEventListener("click", () => timeline.fit());
addEventListener("hashchange", follow);
addEventListener("popstate", follow);
addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === "Escape" && !find("details").hidden) close();
  else if (event.key === "/" && !typing && !event.ctrlKey) {
    event.preventDefault();
    find("search").focus();
  }
});
filters();
legend();
show();
follow();
const ask = document.querySelector('meta[name="livegui-ask"]').content;
if (ask) listen(ask);
