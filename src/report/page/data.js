// What the page knows: the report, and what follows from it. Nothing here touches the document.

const WORDS = {
  passed: ["✓", "passed"],
  failed: ["✗", "failed"],
  error: ["!", "error"],
  victim: ["⤳", "victim"],
  skipped: ["–", "skipped"],
  xfailed: ["✓", "failed as expected"],
  xpassed: ["✗", "passed unexpectedly"],
  running: ["▶", "running"],
  lost: ["✂", "cut off"],
  not_run: ["·", "never began"],
};

// "2 victims", "3 passed"
const outcomes = (number, outcome) => {
  const word = WORDS[outcome]?.[1] ?? outcome;
  return `${number} ${word}${number !== 1 && ["victim", "error"].includes(outcome) ? "s" : ""}`;
};
const STATES = ["starting", "ready", "ok", "degraded", "stopping", "exited", "unreachable", "ended"];
const BAD = new Set(["failed", "error", "victim", "xpassed", "lost"]);

function read(text) {
  const report = JSON.parse(text);
  report.tests.forEach((test, index) => {
    test.index = index;
    test.id = test.name ? `${report.files[test.file].name}::${test.name}` : report.files[test.file].name;
    test.culprits = test.took_down ?? [];
    test.message ??= "";
  });
  report.files.forEach((file) => (file.tests = []));
  report.tests.forEach((test) => report.files[test.file].tests.push(test));
  report.groups.forEach((group, number) => {
    group.number = number;
    group.tests = report.tests.filter((test) => test.group === number && test.at !== undefined);
    group.processes.forEach((process, index) => {
      process.group = number;
      process.index = index;
      process.until = process.end ?? report.span;
    });
  });
  const victims = new Map();
  for (const test of report.tests) {
    if (test.culprit !== undefined) victims.set(test.culprit, [...(victims.get(test.culprit) ?? []), test]);
  }
  report.victims = (culprit) => victims.get(culprit) ?? [];
  return report;
}

const isCulprit = (test) => test.culprits.length > 0;
const endOf = (test, report) => test.at + (test.took ?? Math.max(report.span - test.at, 0));
const processOf = (report, test) =>
  test.process === undefined ? undefined : report.groups[test.group].processes[test.process];

const FILTERS = {
  failed: ["Failed", (test) => BAD.has(test.outcome)],
  culprits: ["Culprits", isCulprit],
  victims: ["Victims", (test) => test.outcome === "victim"],
  fresh: ["Fresh processes", (test, report) => report.files[test.file].notes.length > 0],
};

// Which tests are to be seen: those that match every filter that is on, and the search.
function select(report, wanted, search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (test) => {
    if (![...wanted].every((name) => FILTERS[name][1](test, report))) return false;
    if (!words.length) return true;
    const text = `${test.id} ${test.outcome} ${test.message}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return new Set(report.tests.filter(matches).map((test) => test.index));
}

function duration(ms) {
  if (ms === undefined || ms === null) return "";
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

// The rows of the timeline, from top to bottom: each has a top, a height and the items in it.
function layOut(report) {
  const lanes = [];
  let top = 26; // the axis
  const add = (kind, height, values) => {
    lanes.push({ kind, top, height, ...values });
    top += height + 4;
  };
  const slim = report.groups.length > 12;
  for (const group of report.groups) {
    if (report.groups.length > 1) add("title", 18, { label: group.name, group, items: [] });
    // Spares run beside the one in use: each in the first row that has room.
    const rows = [];
    for (const process of group.processes) {
      let row = rows.find((row) => row.at(-1).until <= process.start);
      if (!row) rows.push((row = []));
      row.push(process);
    }
    rows.forEach((row, number) => {
      const items = row.map((process) => ({ kind: "process", process, at: process.start, end: process.until }));
      add("processes", 22, { label: number ? "" : "processes", group, items });
    });
    const tests = group.tests.map((test) => ({ kind: "test", test, at: test.at, end: endOf(test, report) }));
    add("tests", 26, { label: "tests", group, items: tests });
    if (!slim && group.processes.some((process) => process.frames.length)) {
      add("frames", 46, { label: "frames", group, items: [] });
    }
    const parts = new Map();
    for (const process of group.processes) {
      for (const part of process.parts) {
        const items = part.states.map(([at, state, queued], index) => ({
          kind: "part",
          number: index,
          part,
          process,
          state,
          queued,
          at,
          end: part.states[index + 1]?.[0] ?? process.until,
        }));
        parts.set(part.name, [...(parts.get(part.name) ?? []), ...items]);
      }
    }
    if (!slim) {
      for (const [name, items] of [...parts].slice(0, 8)) add("parts", 12, { label: name, group, items });
    }
    const episodes = group.processes.flatMap((process) =>
      process.episodes.map((episode) => ({
        kind: "episode",
        episode,
        process,
        at: episode.at,
        end: episode.end ?? process.until,
      })),
    );
    if (episodes.length) {
      add("episodes", 16, { label: "episodes", group, items: episodes.sort((a, b) => a.at - b.at) });
    }
    top += 8;
  }
  return { lanes, height: Math.max(top, 120) };
}
