// Asks for the state once a second, and for what it shows only when that has changed.
const $ = (id) => document.getElementById(id);
const stamps = {}, charts = new Map();
let rows = { columns: [], titles: {}, rows: [], every: 1 }, state = null, asked = false, refusal = "", lost = 0;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

async function get(route) {
  const answer = await fetch(route, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

async function look() {
  try {
    state = await get("state");
    lost = 0;
    const changed = ["history", "worst", "batch"].filter((name) => state.files[name] !== stamps[name]);
    for (const name of changed) await UPDATES[name]();
    for (const name of changed) stamps[name] = state.files[name];
    show();
    if (state.ending) return farewell();
  } catch (error) {
    lost += 1;
    if (lost >= 2) {
      setPhase("lost", "No answer: torchwork has ended, or this computer was asleep");
      $("stop").hidden = true;
    }
  }
  setTimeout(look, lost > 1 ? 5000 : 1000);
}

const UPDATES = {
  history: async () => {
    if (state.files.history) rows = await get("history");
    else rows = { columns: [], titles: {}, rows: [], every: 1 };
    showTable();
  },
  worst: async () => { if (state.files.worst) showWorst(await get("worst")); },
  batch: async () => {
    if (!state.files.batch && !$("batch").hidden) return; // a run that ended took it away: it stays in sight
    $("batch").hidden = !state.files.batch;
    $("no-batch").hidden = !!state.files.batch;
    if (state.files.batch) $("batch").querySelector("img").src = `batch?${state.files.batch}`;
  },
};

function setPhase(phase, said) {
  const element = $("phase");
  element.className = `phase ${phase}${state && state.going_on && phase !== "lost" ? " going-on" : ""}`;
  setText(element, said);
}

const LATE = 10; // seconds; not in the phase, which a screen reader reads whenever it changes

function show() {
  const name = state.name || state.directory.split("/").filter(Boolean).slice(-2).join(" / ");
  setText($("name"), name);
  setText($("directory"), state.directory);
  setText($("late"), state.going_on && state.ago > LATE ? `It was last heard of ${duration(state.ago)} ago.` : "");
  const where = state.where ? ` on ${state.where}, which this page cannot reach` : "";
  const of = state.phase === "training" ? ` epoch ${state.epoch} of ${state.epochs}` : "";
  document.title = `${state.said}${of}: ${name}`;
  setPhase(state.phase, `${state.said}${where}`);
  setText($("message"), message());
  $("stop").hidden = !state.can_stop;
  $("stop").disabled = asked;
  if (!state.can_stop && $("sure").open) $("sure").close();
  $("report").hidden = !(state.phase === "finished" && state.files.report);
  showFigures();
  showCurves();
  const log = $("log"), atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  setText(log, state.log.join("\n") || "Nothing is written yet.");
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function message() {
  if (state.going_on) return asked ? "Asked to stop: the running step is finished and saved first." : refusal;
  asked = false;
  refusal = "";
  if (state.phase === "finished") return "";
  const resume = state.message.includes("torchwork resume") ? "" : `Go on with: ${state.resume}`;
  return [state.message, resume].filter(Boolean).join(". ");
}

function showFigures() {
  const shown = [];
  if (state.going_on && state.phase !== "finishing" && state.epoch !== null) {
    shown.push(["epoch", `${state.epoch} of ${state.epochs}`, `step ${figure(state.step)} of ${figure(state.steps)}`]);
    if (state.train_loss !== null) shown.push(["train loss", figure(state.train_loss), "of this epoch so far"]);
    if (state.samples_per_second !== null) shown.push(["samples a second", figure(state.samples_per_second), "in this epoch"]);
    if (state.left !== null) shown.push(["time left", duration(state.left), "at most"]);
    if (state.waiting !== null) shown.push(["waiting for data", `${Math.round(100 * state.waiting)}%`, "of this epoch's time"]);
  } else {
    shown.push(["epochs", figure(state.done), "have ended"]);
  }
  const list = $("figures");
  while (list.children.length > shown.length) list.lastElementChild.remove();
  shown.forEach(([term, value, note], at) => {
    const box = list.children[at] || make("div", {}, list);
    if (!box.children.length) { make("dt", {}, box); make("dd", { class: "value" }, box); make("dd", { class: "note" }, box); }
    [term, value, note].forEach((text, part) => setText(box.children[part], text));
  });
}

function titled(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function said(column) {
  return rows.titles[column] ?? column.replaceAll("_", " ");
}

const EARLIEST = 0.03; // of an epoch: the mean of its very first batches says little

function showCurves() {
  const at = Object.fromEntries(rows.columns.map((name, place) => [name, place]));
  const points = (name) => (name in at ? rows.rows.map((row) => [row[at.epoch], row[at[name]]]) : []);
  const metrics = new Set(rows.columns.filter((name) => /^(train|val)_/.test(name)).map((name) => name.replace(/^(train|val)_/, "")));
  metrics.delete("loss");
  const groups = [["Loss", ["train_loss", "val_loss"]], ...[...metrics].map((name) => {
    const both = [`train_${name}`, `val_${name}`];
    return [titled(said(both.find((column) => column in at)).replace(/^(train|val) /, "")), both];
  })];
  groups.push(["Learning rate", ["lr"]]);
  const going = state.going_on && state.phase !== "finishing" && state.steps;
  const share = going ? Math.min(1, state.step / state.steps) : 0;
  const now = share >= EARLIEST && state.epoch > state.done ? state.epoch - 1 + share : null;
  const ends = rows.rows.length ? rows.rows.at(-1)[at.epoch] : 0;
  for (const [title, names] of groups) {
    const known = names.filter((name) => name in at || (name === "train_loss" && now !== null));
    if (!known.length) continue;
    const key = `${title} ${known}`;
    for (const [other, chart] of charts) if (other !== key && chart.title === title) { chart.figure.remove(); charts.delete(other); }
    if (!charts.has(key)) charts.set(key, new Chart($("curves"), title, known.map(said)));
    const running = known.map((name) => (name === "train_loss" && now !== null && state.train_loss !== null ? [now, state.train_loss] : null));
    charts.get(key).draw(known.map(points), running, Math.max(ends, Math.ceil(now || 0)));
  }
  $("no-curves").hidden = [...charts.values()].some((chart) => !chart.figure.hidden);
}

function showTable() {
  $("numbers").hidden = !rows.rows.length;
  const head = $("numbers").querySelector("thead"), body = $("numbers").querySelector("tbody");
  const title = make("tr");
  for (const name of rows.columns) make("th", { scope: "col", class: "number", text: said(name) }, title);
  head.replaceChildren(title);
  body.replaceChildren(...rows.rows.slice(-15).reverse().map((row) => {
    const line = make("tr");
    for (const value of row) make("td", { class: "number", text: figure(value) }, line);
    return line;
  }));
}

function showWorst(found) {
  const samples = found.samples || [];
  if (!samples.length) return;
  setText($("worst-note"), `Those of val with the greatest losses after epoch ${figure(Number(found.epoch))}, the greatest first.`);
  $("worst").replaceChildren(...samples.map((sample) => {
    const item = make("li");
    if (/^data:image\/(png|jpeg);base64,/.test(sample.image)) make("img", { src: sample.image, alt: "" }, item);
    if (Array.isArray(sample.wave)) wave(sample.wave, item);
    if (sample.text) make("p", { text: `“${sample.text}”` }, item);
    for (const cell of Array.isArray(sample.cells) ? sample.cells : []) make("p", { class: "note", text: cell }, item);
    if (sample.prediction !== undefined) {
      shortened(`true: ${sample.target || "nothing"}`, "", item);
      shortened(`predicted: ${sample.prediction || "nothing"}`, "", item);
    }
    make("p", { class: "note", text: `loss ${typeof sample.loss === "number" ? figure(sample.loss) : sample.loss}` }, item);
    shortened(`${sample.name} (${sample.id})`, "note", item);
    return item;
  }));
}

function shortened(text, kind, parent) {
  const most = 80, shown = text.length > most ? `${text.slice(0, most / 2)}…${text.slice(-most / 2)}` : text;
  make("p", { class: kind, title: text, text: shown }, parent);
}

function wave(heights, parent) {
  const svg = make("svg", { viewBox: `0 0 ${heights.length} 20`, preserveAspectRatio: "none", "aria-hidden": "true" }, parent);
  heights.forEach((height, at) => make("rect", { x: at, width: 0.8, y: 10 - 10 * height, height: Math.max(0.4, 20 * height) }, svg));
}

function farewell() {
  fetch("bye").catch(() => {});
  $("stop").hidden = $("report").hidden = true;
  const finished = state.phase === "finished";
  setText($("message"), finished
    ? `The report is ${state.directory}/report.html. This page is no longer served; torchwork watch shows the run again.`
    : `${$("message").textContent}. This page is no longer served.`);
}

async function stop() {
  $("sure").close();
  asked = true;
  $("stop").disabled = true;
  try {
    const answer = await fetch("stop", { method: "POST" });
    asked = answer.ok;
    refusal = answer.ok ? "" : await answer.text();
  } catch (error) {
    asked = false;
    refusal = "It could not be asked to stop: there is no answer.";
  }
  setText($("message"), message());
}

$("stop").addEventListener("click", () => $("sure").showModal());
$("keep").addEventListener("click", () => $("sure").close());
$("really").addEventListener("click", stop);
look();
