/* The page: filters, order, keys and the address. */

const HASH = ["q", "class", "verdict", "order", "map", "view"]; // what the controls hold
const ORDERS = {
  path: (a, b) => names.compare(a.path, b.path),
  high: (a, b) => b.probability - a.probability,
  low: (a, b) => a.probability - b.probability,
};

const controls = $("controls");
const field = controls.elements;

/** Fills the selects, of what there is. */
function fill(run, maps) {
  field.verdict.hidden = !run.entries.some((entry) => entry.verdict);
  for (const [kind, title] of Object.entries({ predicted: "Predicted", label: "Labelled" })) {
    const times = new Map();
    for (const entry of run.entries) {
      const index = entry[kind];
      if (index >= 0) times.set(index, (times.get(index) ?? 0) + 1);
    }
    const group = make("optgroup");
    group.label = title;
    group.append(
      ...[...times]
        .sort(([a], [b]) => names.compare(run.classes[a], run.classes[b]))
        .map(([index, n]) => new Option(`${run.classes[index]} (${count(n)})`, kind + index)),
    );
    if (times.size) field.class.append(group);
  }
  field.map.append(...maps.map((map, i) => new Option(map.name, i ? i + 1 : "")));
  field.map.hidden = $("all").hidden = maps.length < 2;
}

/** A run's entries in an order, which is found once. */
function sorted(run, order) {
  run.sorted ??= { "": run.entries };
  return (run.sorted[order] ??= [...run.entries].sort(ORDERS[order]));
}

/** The entries that pass the filters, in order. */
function choose(run) {
  const wanted = fold(field.q.value.trim());
  const [, kind, index] = /^(\D*)(\d*)$/.exec(field.class.value);
  const verdict = field.verdict.value;
  return sorted(run, field.order.value).filter(
    (entry) =>
      (!kind || entry[kind] === Number(index)) &&
      (!verdict || entry.verdict === verdict) &&
      (!wanted || entry.text.includes(wanted)),
  );
}

/** What a card shows: functions of its entry. */
function tiles(view, map, maps) {
  const ofMap = (map) => (entry) => {
    const own = map.run.find(entry.path);
    return { src: own?.file("map", map.number), alt: "" };
  };
  const picture = (entry) => ({ src: entry.file("thumbnail"), alt: "" });
  if (view === "picture" || !map) return [picture];
  if (view === "map") return [ofMap(map)];
  return [picture, ...(view === "all" ? maps : [map]).map(ofMap)];
}

class Page {
  constructor(runs) {
    this.run = runs[0];
    this.maps = runs.flatMap((run) => run.maps);
    nameMaps(this.maps, runs);
    fill(this.run, this.maps);
    this.grid = new Grid($("grid"), (entry) => this.open(entry));
    this.viewer = new Viewer(this.maps, () => this.viewerChanged());
    this.follow();
    controls.addEventListener("input", ({ target }) => {
      if (target === field.map) this.viewer.map = this.map;
      this.update();
      this.remember(target === field.q ? "replaceState" : "pushState");
    });
    $("clear").addEventListener("click", () => {
      this.clear();
      this.remember("pushState");
      field.q.focus();
    });
    $("viewer").addEventListener("close", () => this.closed());
    addEventListener("popstate", () => this.follow());
    document.addEventListener("keydown", (event) => this.press(event));
  }

  get map() {
    return this.maps[(field.map.value || 1) - 1];
  }

  update() {
    const { entries } = this.run;
    this.shown = choose(this.run);
    this.grid.show(this.shown, tiles(field.view.value, this.map, this.maps));
    $("count").textContent =
      (this.shown.length < entries.length ? `${count(this.shown.length)} of ` : "") +
      `${count(entries.length)} picture${entries.length === 1 ? "" : "s"}`;
    say(this.shown.length ? "" : "No picture matches.");
  }

  clear() {
    for (const name of ["q", "class", "verdict"]) field[name].value = "";
    this.update();
  }

  open(entry) {
    this.viewer.show(entry, this.shown);
    this.remember("pushState", { opened: true });
  }

  viewerChanged() {
    const number = this.maps.indexOf(this.viewer.map);
    const redraws = this.map !== this.viewer.map;
    field.map.value = number ? number + 1 : "";
    if (redraws) this.update();
    this.remember("replaceState", history.state);
  }

  /** Writes the controls and the open picture into the address. */
  remember(how, state = null) {
    const words = new URLSearchParams();
    for (const name of HASH) if (field[name].value) words.set(name, field[name].value);
    if ($("viewer").open) {
      words.set("open", this.viewer.entry.path);
      if (this.viewer.compares) words.set("compare", "1");
    }
    const url = location.href.split("#")[0] + (words.size ? `#${words}` : "");
    if (url !== location.href) history[how](state, "", url);
  }

  /** Does as the address says. */
  follow() {
    if (this.closing) {
      this.closing = false; // what was chosen while it was open stays
      return this.remember("replaceState");
    }
    const words = new URLSearchParams(location.hash.slice(1));
    for (const name of HASH) setField(field[name], words.get(name) ?? "");
    this.viewer.map = this.map;
    this.viewer.compares = words.has("compare");
    this.update();
    const entry = words.has("open") && this.run.find(words.get("open"));
    if (!entry) return $("viewer").close();
    if (!this.shown.includes(entry)) this.clear();
    this.viewer.show(entry, this.shown);
  }

  closed() {
    this.closing = Boolean(history.state?.opened) && location.hash.includes("open=");
    if (this.closing) history.back();
    else this.remember("replaceState");
    this.grid.focus(this.viewer.entry);
  }

  press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || $("help").open) return;
    const isTyping = event.target.matches("[type=search], select");
    const slides = event.target.matches("[type=range]");
    const act = isTyping ? undefined : this.keys(event.key, slides);
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** What a key does; arrows are the slider's while it has the focus. */
  keys(key, slides) {
    const { viewer } = this;
    const map = /^[1-9]$/.test(key) && this.maps[key - 1];
    if (map) return () => viewer.choose(map);
    if (key === "?") return () => $("help").showModal();
    if (!$("viewer").open) return key === "/" ? () => field.q.focus() : undefined;
    const arrows = { ArrowLeft: () => viewer.step(-1), ArrowRight: () => viewer.step(1) };
    return {
      ...(slides ? {} : arrows),
      "[": () => viewer.mix(-10),
      "]": () => viewer.mix(10),
      c: () => this.maps.length > 1 && viewer.compare(!viewer.compares),
    }[key];
  }
}

/** Sets a control; to its first choice where it has not this one. */
function setField(control, value) {
  control.value = value;
  if (control.value !== value) control.value = "";
}

function say(text) {
  $("message").hidden = !text;
  $("message").firstElementChild.textContent = text;
}

async function start() {
  const [run, ...others] = await loadRuns();
  controls.addEventListener("submit", (event) => event.preventDefault());
  $("ask").addEventListener("click", () => $("help").showModal());
  if (run) {
    document.title = $("title").textContent = run.title;
    $("subtitle").textContent = run.subtitle;
  }
  if (run?.entries.length) return new Page([run, ...others]);
  controls.hidden = $("clear").hidden = true;
  const lost = "The gallery's data is missing: gallery/entries.js beside this page.";
  say(run ? "This gallery has no pictures." : lost);
}
start();
