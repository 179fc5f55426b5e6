/* The open picture, in a dialog. */

const LINKS = { overlay: "Overlay", heatmap: "Heatmap", npy: "Values (.npy)" };

class Viewer {
  /** `changed` is called after what the address says of it has changed. */
  constructor(maps, changed) {
    this.maps = maps;
    this.changed = changed;
    this.shown = [];
    this.map = maps[0];
    this.compares = false;
    this.root = $("viewer");
    $("maps").append(...maps.map((map, i) => new Option(map.name, i)));
    $("maps").addEventListener("change", () => this.choose(maps[$("maps").value]));
    $("opacity").addEventListener("input", () => this.mix(0));
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("close").addEventListener("click", () => this.root.close());
    $("compare").addEventListener("click", () => this.compare(!this.compares));
    $("compare").hidden = maps.length < 2;
    this.mix(0);
  }

  /** Opens an entry, one of `shown`. */
  show(entry, shown) {
    this.entry = entry;
    this.shown = shown;
    this.draw();
    if (!this.root.open) this.root.showModal();
    this.root.scrollTop = $("details").scrollTop = 0;
  }

  step(by) {
    const entry = this.shown[this.shown.indexOf(this.entry) + by];
    if (!entry) return;
    this.show(entry, this.shown);
    this.changed();
  }

  choose(map) {
    this.map = map;
    if (this.root.open) this.draw();
    this.changed();
  }

  compare(compares) {
    this.compares = compares;
    if (this.root.open) this.draw();
    this.changed();
  }

  mix(by) {
    $("opacity").value = Number($("opacity").value) + by; // stays between 0 and 100
    $("map").style.opacity = $("opacity").value / 100;
  }

  draw() {
    const { entry, shown } = this;
    const at = shown.indexOf(entry);
    $("name").textContent = entry.name;
    $("position").textContent = `${count(at + 1)} of ${count(shown.length)}`;
    $("previous").disabled = at <= 0;
    $("next").disabled = at === shown.length - 1;
    $("maps").value = this.maps.indexOf(this.map);
    $("stage").hidden = $("mix").hidden = this.compares;
    $("compared").hidden = !this.compares;
    $("compare").setAttribute("aria-pressed", this.compares);
    this.root.style.setProperty("--ratio", entry.width / entry.height);
    if (this.compares) this.drawCompared();
    else this.drawStage();
    this.describe();
  }

  drawStage() {
    const { entry, map } = this;
    const own = map && map.run.find(entry.path);
    setImage($("picture"), entry.file("picture"), entry.name);
    setImage($("map"), own?.file("map", map.number), own ? `Map: ${map.name}` : "");
    $("compared").replaceChildren();
    const at = this.shown.indexOf(entry);
    for (const near of [this.shown[at - 1], this.shown[at + 1]]) {
      if (near) new Image().src = near.file("picture");
    }
  }

  /** The picture and all of its maps, of all runs. */
  drawCompared() {
    const { entry } = this;
    const said = [`${entry.className(entry.predicted)} ${percent(entry.probability)}`];
    const figures = [figure(entry.file("picture"), "Picture", said)];
    this.maps.forEach((map, i) => {
      const own = map.run.find(entry.path);
      const lines = own ? [sayMap(own, map), ...this.sayOther(own)] : ["No such picture"];
      const item = figure(own?.file("map", map.number), map.name, lines);
      if (map === this.map) item.setAttribute("aria-current", "true");
      item.addEventListener("click", () => this.choose(this.maps[i]));
      figures.push(item);
    });
    $("compared").replaceChildren(...figures);
  }

  /** What another run makes of the picture. */
  sayOther(own) {
    if (own.run === this.entry.run) return [];
    return [`Predicted: ${own.className(own.predicted)} ${percent(own.probability)}`];
  }

  describe() {
    const { entry, map } = this;
    const own = map && map.run.find(entry.path);
    $("class").textContent = entry.className(entry.predicted);
    $("share").textContent = percent(entry.probability);
    const isWrong = entry.verdict === "wrong";
    $("verdict").textContent = isWrong ? `✕ Wrong: it is ${entry.className(entry.label)}` : "";
    if (entry.verdict === "right") $("verdict").textContent = "✓ Right";
    $("verdict").className = entry.verdict;
    $("note").textContent = own ? `The map explains ${sayMap(own, map)}` : "";
    const target = own?.run === entry.run ? own.shows(map.number).target : -1;
    $("top5").replaceChildren(...entry.top5.map((top) => bar(entry, top, target)));
    const facts = [["Path", entry.path], ["Size", `${entry.width} × ${entry.height}`]];
    facts.push(["Logit", entry.logit.toFixed(2)], ...(own ? factsOfMap(own, map) : []));
    $("facts").replaceChildren(
      ...facts.flatMap(([term, fact]) => [make("dt", "", term), make("dd", "number", fact)]),
    );
    const files = own ? own.links(map.number) : [];
    $("links").replaceChildren(...files.filter(([kind]) => LINKS[kind]).map(link));
  }
}

/** The class that a map is about. */
function sayMap(entry, { number }) {
  const { target, logit, against, againstLogit } = entry.shows(number);
  const said = `${entry.className(target)} (logit ${logit.toFixed(2)})`;
  if (against === undefined) return said;
  return `${said} against ${entry.className(against)} (${againstLogit.toFixed(2)})`;
}

function factsOfMap(entry, map) {
  const { min, max, sum, limit } = entry.shows(map.number);
  const settings = Object.entries(map.settings).map(([k, v]) => [k, String(v)]);
  const short = (value) => String(Number(value.toPrecision(3)));
  return [
    ["Method", map.method],
    ...settings,
    ["Score", map.score],
    ["Values", `${short(min)} to ${short(max)}`],
    ["Sum", short(sum)],
    ["Colours end", short(limit)],
  ];
}

function bar(entry, [index, probability], target) {
  const item = make("li");
  item.style.setProperty("--share", probability);
  if (index === target) item.setAttribute("aria-current", "true");
  const name = make("span", "", entry.className(index));
  item.append(name, make("span", "number", percent(probability)));
  return item;
}

function link([kind, url]) {
  const element = make("a", "", LINKS[kind]);
  element.href = url;
  element.download = "";
  element.target = "_blank"; // for browsers that do not download from file://
  return element;
}

function figure(src, name, lines) {
  const item = make("li");
  const image = make("img");
  setImage(image, src, "");
  item.append(image, make("strong", "", name), ...lines.map((line) => make("span", "muted", line)));
  return item;
}

/** Shows a picture, or none; never the last one meanwhile. */
function setImage(image, src, alt) {
  image.alt = alt;
  if (src) image.src = src;
  else image.removeAttribute("src");
}
