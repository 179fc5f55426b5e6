/* The grid: of all cards in it, those that are near the window. */

const SMALLEST = 150; // a tile's least width, pixels
const GAP = 4; // between the tiles of a card
const SPACE = { x: 18, y: 24 }; // between cards
const TEXT = 56; // below a card's tiles
const AHEAD = 600; // pixels that are drawn above and below the window
const PAUSE = 80; // milliseconds without a leap, after which pictures are loaded

class Grid {
  constructor(root, open) {
    this.root = root;
    this.open = open;
    this.cards = new Map(); // by place
    this.entries = [];
    this.tiles = [];
    this.top = 0; // of the window, when it was last drawn
    const draw = () => {
      this.waits ??= requestAnimationFrame(() => this.draw());
    };
    addEventListener("scroll", draw, { passive: true });
    new ResizeObserver(() => this.layOut()).observe(root);
    root.addEventListener("keydown", (event) => this.move(event));
  }

  /** Shows entries; each as `tiles`, of them (entry) -> {kind, map} to draw. */
  show(entries, tiles) {
    this.entries = entries;
    this.tiles = tiles;
    this.clear();
    this.layOut();
  }

  clear() {
    this.root.replaceChildren();
    this.cards.clear();
  }

  /** Finds how many tiles and cards go side by side, and what that makes them measure. */
  layOut() {
    const width = this.root.clientWidth;
    const most = Math.max(1, Math.floor((width + GAP) / (SMALLEST + GAP)));
    this.across = Math.min(this.tiles.length, most); // tiles in a card
    const least = this.across * (SMALLEST + GAP) - GAP;
    this.columns = Math.max(1, Math.floor((width + SPACE.x) / (least + SPACE.x)));
    this.width = (width + SPACE.x) / this.columns - SPACE.x;
    const tile = (this.width + GAP) / this.across - GAP;
    const down = Math.ceil(this.tiles.length / this.across);
    this.height = down * (tile + GAP) - GAP + TEXT;
    const rows = Math.ceil(this.entries.length / this.columns);
    this.root.style.height = `${rows * (this.height + SPACE.y)}px`;
    this.root.style.setProperty("--across", this.across);
    for (const [at, card] of this.cards) this.place(card, at);
    this.draw();
  }

  place(card, at) {
    const x = (at % this.columns) * (this.width + SPACE.x);
    const y = Math.floor(at / this.columns) * (this.height + SPACE.y);
    card.style.cssText =
      `width:${this.width}px;height:${this.height}px;transform:translate(${x}px,${y}px)`;
  }

  /** Makes the cards that are near the window, and drops the others. */
  draw() {
    this.waits = undefined;
    const above = -this.root.getBoundingClientRect().top;
    const row = this.height + SPACE.y;
    const first = Math.max(0, Math.floor((above - AHEAD) / row)) * this.columns;
    const last = Math.ceil((above + innerHeight + AHEAD) / row) * this.columns;
    for (const [at, card] of this.cards) {
      const isFar = at < first || at >= last;
      if (isFar && !card.contains(document.activeElement)) {
        card.remove();
        this.cards.delete(at);
      }
    }
    for (let at = first; at < Math.min(last, this.entries.length); at++) this.card(at);
    const leaps = Math.abs(above - this.top) > innerHeight / 2;
    this.top = above;
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.load(), leaps ? PAUSE : 0); // cards come first
  }

  /** Loads the pictures of the cards; none of those that only fly past. */
  load() {
    for (const image of this.root.querySelectorAll("img[data-src]")) {
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }

  /** The card at a place, made if need be; cards are in order, for the Tab key. */
  card(at) {
    if (this.cards.has(at)) return this.cards.get(at);
    const card = this.make(at);
    let next = this.root.lastElementChild;
    while (next && next.ariaPosInSet > at + 1) next = next.previousElementSibling;
    if (next) next.after(card);
    else this.root.prepend(card);
    this.cards.set(at, card);
    this.place(card, at);
    return card;
  }

  make(at) {
    const entry = this.entries[at];
    const button = make("button");
    button.type = "button";
    button.title = entry.path;
    const tiles = make("span", "tiles");
    tiles.append(...this.tiles.map((tile) => makeTile(tile(entry))));
    if (entry.verdict === "wrong") {
      tiles.append(make("span", "wrong", `✕ is ${entry.className(entry.label)}`));
    }
    const line = make("span", "line");
    line.append(
      make("span", "name ellipsis", entry.className(entry.predicted)),
      make("span", "number muted", percent(entry.probability)),
    );
    button.append(tiles, line, make("span", "file ellipsis muted", entry.name));
    button.addEventListener("click", () => this.open(entry));
    const card = make("li");
    card.setAttribute("aria-setsize", this.entries.length);
    card.setAttribute("aria-posinset", at + 1);
    card.append(button);
    return card;
  }

  /** Brings an entry's card into view, and the focus to it. */
  focus(entry) {
    const at = this.entries.indexOf(entry);
    if (at < 0) return;
    const button = this.card(at).firstElementChild;
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "nearest" });
    this.draw();
  }

  /** Arrows go from card to card. */
  move(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    Object.assign(steps, { ArrowUp: -this.columns, ArrowDown: this.columns });
    const card = event.target.closest("li");
    const next = this.entries[card.ariaPosInSet - 1 + steps[event.key]];
    if (!next) return;
    event.preventDefault();
    this.focus(next);
  }
}

/** A picture in the grid, `src` undefined where a run lacks it. */
function makeTile({ src, alt }) {
  const image = make("img", "tile");
  const blank = () => image.replaceWith(make("span", "tile"));
  image.alt = alt;
  image.decoding = "async";
  image.addEventListener("error", blank);
  if (src) image.dataset.src = src;
  return src ? image : make("span", "tile");
}
