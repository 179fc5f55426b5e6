"use strict";
/* The data of this run, and of other runs beside it: what gallery.py writes. */

const $ = (id) => document.getElementById(id);
const names = new Intl.Collator("en", { numeric: true });
const shares = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1 });
const counts = new Intl.NumberFormat("en");
const count = (n) => counts.format(n);
const percent = (p) => (p < 0.0005 ? "<0.1%" : shares.format(p));
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** An element; everything that comes from outside goes in as text. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** An address as Python's quote makes it. */
function quote(path) {
  const hex = (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase();
  return path.split("/").map(encodeURIComponent).join("/").replace(/[!'()*]/g, hex);
}

/** A run: what a gallery's data says, and where it lies. */
class Run {
  constructor({ title, subtitle, classes, maps, files, rows }, base) {
    Object.assign(this, { title, subtitle, classes, files, base });
    this.maps = maps.map((map, number) => ({ ...map, run: this, number }));
    this.entries = rows.map((row) => new Entry(this, row));
  }

  /** The entry of an image of any run. */
  find(path) {
    this.byPath ??= new Map(this.entries.map((entry) => [entry.path, entry]));
    return this.byPath.get(path);
  }
}

/** An image of a run. */
class Entry {
  constructor(run, row) {
    this.run = run;
    [this.path, this.width, this.height, this.predicted, this.logit] = row;
    [, , , , , this.probability, this.top, this.label, this.rows, this.urls] = row;
    this.verdict = this.label < 0 ? "" : this.label === this.predicted ? "right" : "wrong";
  }

  get name() {
    return this.path.split("/").at(-1);
  }

  get text() {
    this.folded ??= fold(`${this.path} ${this.className(this.predicted)}`);
    return this.folded;
  }

  className(index) {
    return this.run.classes[index];
  }

  /** [class, probability] of the likeliest classes. */
  get top5() {
    return this.top.flatMap((index, i) => (i % 2 ? [] : [[index, this.top[i + 1]]]));
  }

  /** What one of its maps shows. */
  shows(number) {
    const [target, logit, min, max, sum, limit, against, againstLogit] = this.rows[number];
    return { target, logit, min, max, sum, limit, against, againstLogit };
  }

  /** Its files [kind, address]: its own, or those of a map. */
  links(number = -1) {
    const stem = quote(this.path);
    return this.run.files.flatMap(([kind, of, pattern], i) => {
      if (of !== number) return [];
      return [[kind, this.run.base + (this.urls?.[i] ?? pattern.replace("*", () => stem))]];
    });
  }

  file(kind, number = -1) {
    return this.links(number).find(([other]) => other === kind)?.[1];
  }
}

/** Names for maps that tell them apart: more is said where less would not. */
function nameMaps(maps, runs) {
  const short = ({ method, asked, against }) =>
    `${method} · ${asked}` + (against ? ` − ${against}` : "");
  const settings = (map) => Object.entries(map.settings).map(([k, v]) => `${k} ${v}`);
  const long = (map) => [short(map), ...settings(map), map.score].join(" · ");
  for (const map of maps) {
    const alike = map.run.maps.filter((other) => short(other) === short(map));
    map.name = alike.length > 1 ? long(map) : short(map);
    if (runs.length > 1) map.name += ` (${map.run.label})`;
  }
}

/** Loads another run's data, of a folder beside this page; undefined if there is none. */
function load(folder) {
  const base = new URL(folder.replace(/\/*$/, "/"), location.href);
  const isNear = base.protocol === location.protocol && base.host === location.host;
  if (!isNear) return Promise.resolve(undefined);
  base.search = base.hash = "";
  return new Promise((resolve) => {
    const script = make("script");
    window.GALLERY = undefined;
    script.onload = () => resolve(window.GALLERY?.rows && new Run(window.GALLERY, base.href));
    script.onerror = () => resolve(undefined);
    script.src = new URL("gallery/entries.js", base).href;
    document.head.append(script);
  });
}

/** This run, and those that `?with=FOLDER` names, one after another. */
async function loadRuns() {
  const runs = window.GALLERY?.rows ? [new Run(window.GALLERY, "")] : [];
  if (runs.length) runs[0].label = "this run";
  for (const folder of new URLSearchParams(location.search).getAll("with")) {
    const run = await load(folder);
    if (run) runs.push(Object.assign(run, { label: folder }));
    else $("lost").append(make("p", "", `No gallery in ${folder}.`));
  }
  return runs;
}
