"use strict";
// Line charts of an epoch's figures as inline SVG, made once and then only moved. Nothing from the run becomes markup.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 440, HEIGHT = 220, LEFT = 60, DIGIT = 7.8, RIGHT = 12, TOP = 10, BOTTOM = 28;

function make(name, attributes, parent) {
  const element = name in SHAPES ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "text") element.textContent = value;
    else element.setAttribute(key, value);
  }
  if (parent) parent.append(element);
  return element;
}
const SHAPES = { svg: 1, g: 1, path: 1, circle: 1, line: 1, text: 1, rect: 1 };

function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e-4 && size < 1e4) return String(Number(value.toPrecision(4)));
  return size < 1e12 && size >= 1e4 ? Math.round(value).toLocaleString("en") : value.toExponential(2);
}

// A mark as text, with as many digits as tell it from its neighbours a step away.
function marked(value, step, largest) {
  if (largest >= 1e12 || largest < 1e-4) {
    return value === 0 ? "0" : value.toExponential(Math.max(0, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(step) + 1e-9)));
  }
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return decimals ? value.toFixed(decimals) : Math.round(value).toLocaleString("en");
}

// Round numbers between low and high, about so many of them.
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((candidate) => candidate >= raw * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(at * step);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * (1 + 1e-9); power++) found.push(10 ** power);
  return found.length > 1 ? found : [low, high];
}

// The range of the values with some room; by powers of ten where they are far apart and all above zero.
function scale(values) {
  let low = Math.min(...values), high = Math.max(...values);
  const powers = low > 0 && high / low > 50;
  if (powers) return { powers, low, high, marks: decades(low, high), said: figure, place: (v) => Math.log(v / low) / Math.log(high / low) };
  if (high - low <= Math.abs(high) * 1e-6) { low -= Math.abs(low) * 0.1 || 1; high += Math.abs(high) * 0.1 || 1; }
  const room = (high - low) * 0.05;
  low -= room; high += room;
  const few = ticks(low, high, 4), marks = few.length > 1 ? few : ticks(low, high, 8), largest = Math.max(...marks.map(Math.abs));
  return { powers, low, high, marks, said: (v) => marked(v, marks[1] - marks[0], largest), place: (v) => (v - low) / (high - low) };
}

class Chart {
  constructor(parent, title, names) {
    this.title = title;
    this.names = names;
    this.figure = make("figure", { class: "chart" }, parent);
    make("h3", { text: title }, this.figure);
    this.legend = make("ul", { class: "legend" }, this.figure);
    this.svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, this.figure);
    this.axes = make("g", {}, this.svg);
    this.lines = names.map((name, at) => make("path", { class: `line s${at}`, "data-name": name }, this.svg));
    this.dots = make("g", {}, this.svg);
    this.note = make("figcaption", {}, this.figure);
  }

  // points: for each name a list of [epoch, value], null where there is none; running: for each name one such point.
  draw(points, running, last) {
    const all = [...points.flat(), ...running.filter(Boolean)].filter(([, value]) => value !== null);
    this.figure.hidden = all.length === 0;
    if (all.length === 0) return;
    const y = scale(all.map(([, value]) => value)), right = Math.max(last, 2);
    const left = Math.max(LEFT, 10 + DIGIT * Math.max(...y.marks.map((mark) => y.said(mark).length)));
    const toX = (epoch) => left + (WIDTH - left - RIGHT) * (epoch / right);
    const toY = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - y.place(value));
    this.drawAxes(y, left, right, toX, toY);
    this.dots.replaceChildren();
    this.lines.forEach((path, at) => {
      const now = running[at], known = now ? [...points[at], now] : points[at];
      let d = "", gap = true;
      for (const [epoch, value] of known) {
        if (value !== null) d += `${gap ? "M" : "L"}${toX(epoch).toFixed(1)} ${toY(value).toFixed(1)}`;
        gap = value === null;
      }
      path.setAttribute("d", d);
      path.dataset.points = known.filter(([, value]) => value !== null).length;
      const drawn = points[at].filter(([, value]) => value !== null);
      if (drawn.length <= 40) for (const [e, v] of drawn) make("circle", { class: `dot s${at}`, cx: toX(e), cy: toY(v), r: 3 }, this.dots);
      if (now) make("circle", { class: `running s${at}`, cx: toX(now[0]), cy: toY(now[1]), r: 4 }, this.dots);
    });
    this.tell(points, running, y.powers);
  }

  drawAxes(y, left, right, toX, toY) {
    this.axes.replaceChildren();
    for (const mark of y.marks) {
      make("line", { class: "grid", x1: left, x2: WIDTH - RIGHT, y1: toY(mark), y2: toY(mark) }, this.axes);
      make("text", { class: "mark", x: left - 6, y: toY(mark) + 4.5, "text-anchor": "end", text: y.said(mark) }, this.axes);
    }
    for (const mark of ticks(0, right, 6).filter((at) => Number.isInteger(at))) {
      make("text", { x: toX(mark), y: HEIGHT - 6, "text-anchor": "middle", text: mark }, this.axes);
    }
  }

  tell(points, running, powers) {
    const lasts = points.map((known, at) => running[at] || known.filter(([, value]) => value !== null).at(-1));
    this.legend.replaceChildren();
    this.names.forEach((name, at) => {
      const entry = make("li", {}, this.legend);
      make("span", { class: `key s${at}`, "aria-hidden": "true" }, entry);
      entry.append(`${name} ${lasts[at] ? figure(lasts[at][1]) : "–"}${running[at] ? " so far in this epoch" : ""}`);
    });
    const said = this.names.map((name, at) => `${name}: ${lasts[at] ? figure(lasts[at][1]) : "none"}`);
    this.svg.setAttribute("aria-label", `${this.title} by epoch, last values: ${said.join(", ")}`);
    this.note.textContent = `By epoch${powers ? ", on a scale of powers of ten" : ""}${running.some(Boolean) ? "; the ring is the running epoch" : ""}.`;
  }
}
