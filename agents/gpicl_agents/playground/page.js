/* What is on the page: the drawing area, the labels, what was read, the score, and the episodes that play by themselves. */

const LONGEST = 100; // examples in an episode, as in meta-training
const SHOWN = 6; // of the examples that attention read
const PAUSE = 450; // milliseconds in which a prediction is seen before its answer
const STEP = 0.04; // of the drawing area: how far an arrow key moves the pen

const element = (id) => document.getElementById(id);
const settings = JSON.parse(element("settings").textContent);
const model = new Transformer(settings.arguments, readTensors(fromBase64(element("weights").textContent)));
const letters = Array.from({ length: model.settings.n_classes }, (_, i) => (i < 26 ? String.fromCharCode(65 + i) : `label ${i}`));
const percent = (fraction) => `${(100 * fraction).toFixed(0)} %`;

const page = {
  episode: null, sight: null, names: [...letters], isRenaming: false, seed: 0, run: 0,
  strokes: [], pen: { x: 0.5, y: 0.5, isDown: false, isShown: false }, picture: null, message: "",
};

function fromBase64(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// -- Episodes ----------------------------------------------------------------------------------------------------------

function startEpisode(names = letters) {
  Object.assign(page, { run: page.run + 1, seed: page.seed + 1, names: [...names], message: "" });
  page.episode = new Episode(model, page.seed, element("projected").checked);
  element("comparison").textContent = "";
  element("stop").disabled = true;
  clearDrawing();
}

/** Look at an image of 0 … 1; null for none. */
function look(image, moments = settings.moments) {
  const isFull = page.episode.examples.length >= LONGEST;
  page.sight = image === null || isFull ? null : page.episode.look(image, moments);
  if (isFull) page.message = `The episode has its ${LONGEST} examples: start a new one.`;
  show();
}

function tell(label) {
  if (page.sight === null) return;
  const { predicted, neighbour } = page.sight, verdict = (found) => (found === label ? "right" : "wrong");
  page.episode.tell(page.sight, label);
  page.message = `It was ${page.names[label]}. The learner said ${page.names[predicted]}: ${verdict(predicted)}. ` +
    `1-NN said ${page.names[neighbour]}: ${verdict(neighbour)}.`;
  clearDrawing();
}

async function play(name) {
  const { images, labels, moments, n_images } = settings.datasets[name], pixels = fromBase64(images);
  startEpisode(letters.map((_, label) => String(label)));
  const run = page.run, order = new Random(page.seed).permutation(n_images);
  element("stop").disabled = false;
  for (const i of order) {
    page.picture = Float32Array.from(pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE), (value) => value / 255);
    look(page.picture, moments);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (run !== page.run) return;
    tell(labels[i]);
  }
  stop();
}

/** End what plays, if anything does; the episode stays, and may go on with drawings. */
function stop() {
  if (element("stop").disabled) return;
  page.run += 1;
  element("stop").disabled = true;
  if (page.picture !== null) clearDrawing();
}

function switchProjection() {
  const before = page.episode, isProjected = element("projected").checked;
  page.episode = before.replayed(isProjected);
  const [a, b] = [page.episode, before].map((episode) => episode.right("predicted").filter(Boolean).length);
  const same = before.examples.filter((example, i) => example.predicted === page.episode.examples[i].predicted).length;
  const [now, then] = isProjected ? ["With", "without"] : ["Without", "with"], n = before.examples.length;
  element("comparison").textContent = n
    ? `${now} the projection, the learner is right on ${a} of these ${n} examples; ${then} it, on ${b}. ${same} predictions are the same.`
    : `${now} the projection: draw, or play an episode, then switch.`;
  look(page.sight && page.sight.image, page.sight ? page.sight.moments : undefined);
}

// -- Drawing -----------------------------------------------------------------------------------------------------------

function clearDrawing() {
  Object.assign(page, { strokes: [], picture: null });
  page.pen.isDown = false;
  look(null);
}

/** A stroke was added or taken away. */
function drawingChanged() {
  page.message = "";
  look(page.strokes.length ? glyphImage(page.strokes) : null);
}

function listenToPointer(canvas) {
  let isDrawing = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    stop();
    isDrawing = true;
    Object.assign(page.pen, { isDown: false, isShown: false });
    canvas.setPointerCapture(event.pointerId);
    page.strokes.push([place(event)]);
    paintDrawing();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!isDrawing) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) page.strokes.at(-1)?.push(place(each));
    paintDrawing();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, () => {
      if (isDrawing) drawingChanged();
      isDrawing = false;
    });
  }
}

function undo() {
  stop();
  page.strokes.pop();
  page.pen.isDown = false;
  drawingChanged();
}

/** Keys of the drawing area: arrows and Space draw. */
function drawByKey(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }, { pen } = page;
  if (event.key in moves || event.key === " ") stop();
  if (event.key in moves) {
    const [dx, dy] = moves[event.key];
    pen.x = Math.max(0, Math.min(1, pen.x + STEP * dx));
    pen.y = Math.max(0, Math.min(1, pen.y + STEP * dy));
    if (pen.isDown) page.strokes.at(-1).push([pen.x, pen.y]);
  } else if (event.key === " ") {
    pen.isDown = !pen.isDown;
    if (pen.isDown) page.strokes.push([[pen.x, pen.y]]);
  } else if (event.key === "Backspace") return undo();
  else if (event.key === "Delete") return clearDrawing();
  else return;
  event.preventDefault();
  pen.isShown = true;
  if (pen.isDown) drawingChanged();
  else paintDrawing();
}

function answerByKey(event) {
  const isOther = event.target.matches("input[type=text], select") || event.ctrlKey || event.metaKey || event.altKey;
  if (isOther || page.picture !== null || !/^\d$/.test(event.key) || Number(event.key) >= model.settings.n_classes) return;
  tell(Number(event.key));
}

// -- What is shown -----------------------------------------------------------------------------------------------------

function show() {
  paintDrawing();
  paintImage(element("image"), page.sight?.image);
  paintImage(element("input"), page.sight?.input);
  showAnswers();
  showStatus();
  showAttended();
  showScores();
}

function showStatus() {
  const { sight, names } = page, n = page.episode.examples.length;
  if (sight === null) {
    element("status").textContent = page.message || "Draw a sign of your own.";
  } else if (!n) {
    element("status").textContent = "The first example is a guess: which label do you give it?";
  } else {
    element("status").textContent = `Predicted: ${names[sight.predicted]}, ${percent(sight.probabilities[sight.predicted])}. ` +
      `1-NN: ${names[sight.neighbour]}. What is it?`;
  }
}

function showAnswers() {
  element("answers").replaceChildren(...page.names.map((name, label) => {
    const item = document.createElement("li");
    item.append(page.isRenaming ? nameField(name, label) : answerButton(name, label));
    return item;
  }));
}

function answerButton(name, label) {
  const button = document.createElement("button"), { sight } = page;
  const probability = sight ? sight.probabilities[label] : 0;
  for (const [kind, text] of [["key", label < 10 ? label : ""], ["name", name], ["bar", ""], ["percent", sight ? percent(probability) : ""]]) {
    const part = document.createElement("span");
    part.className = kind;
    part.textContent = text;
    if (kind === "bar") part.style.width = `${100 * probability}%`;
    button.append(part);
  }
  button.type = "button";
  button.disabled = sight === null || page.picture !== null;
  button.classList.toggle("most", sight !== null && sight.predicted === label);
  button.setAttribute("aria-label", sight ? `It is ${name} (predicted with ${percent(probability)})` : `It is ${name}`);
  button.addEventListener("click", () => {
    tell(label);
    element("drawing").focus({ preventScroll: true });
  });
  return button;
}

function nameField(name, label) {
  const holder = document.createElement("label"), key = document.createElement("span"), field = document.createElement("input");
  key.className = "key";
  key.textContent = label;
  Object.assign(field, { type: "text", value: name, maxLength: 20 });
  field.setAttribute("aria-label", `Name of label ${label}`);
  field.addEventListener("input", () => (page.names[label] = field.value.trim() || letters[label]));
  holder.append(key, field);
  return holder;
}

function rename() {
  page.isRenaming = !page.isRenaming;
  element("rename").setAttribute("aria-pressed", page.isRenaming);
  element("rename").textContent = page.isRenaming ? "Done" : "Rename the labels";
  show();
}

/** What token i got is what was read of example i − 1; token 0 holds none. */
function showAttended() {
  const { sight, episode } = page;
  const [layer, head] = element("head").value.split(" ").map(Number);
  const heads = sight ? sight.attention[layer].filter((_, i) => head < 0 || i === head) : [];
  const weight = (i) => heads.reduce((sum, weights) => sum + weights[i + 1], 0) / heads.length;
  const read = sight ? episode.examples.map((_, i) => [weight(i), i]).sort((a, b) => b[0] - a[0]).slice(0, SHOWN) : [];
  element("attended").replaceChildren(...read.map(([value, i]) => exampleItem(i, `${(100 * value).toFixed(1)} %`)));
  const nearest = sight && sight.nearest !== null ? [exampleItem(sight.nearest, sight.cosine.toFixed(2))] : [];
  element("nearest").replaceChildren(...nearest);
}

function exampleItem(i, weight) {
  const item = document.createElement("li"), canvas = document.createElement("canvas");
  const { image, label } = page.episode.examples[i];
  Object.assign(canvas, { width: SIDE, height: SIDE });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `example ${i + 1}, ${page.names[label]}`);
  paintImage(canvas, image);
  item.append(canvas, `${page.names[label]} · ${weight}`);
  return item;
}

function showScores() {
  const { examples } = page.episode, rows = [[settings.learner, "predicted"], ["1-NN", "neighbour"]];
  const ratio = (right) => (right.length ? `${right.filter(Boolean).length} of ${right.length} (${percent(right.filter(Boolean).length / right.length)})` : "–");
  element("scores").replaceChildren(...rows.map(([name, who]) => {
    const right = page.episode.right(who), row = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head, ...[right, right.filter((_, i) => examples[i].isKnown), right.slice(-10)].map((part) => {
      const cell = document.createElement("td");
      cell.textContent = ratio(part);
      return cell;
    }));
    return row;
  }));
  drawChart(rows.map(([, who]) => [who, page.episode.right(who)]));
}

function drawChart(curves) {
  const made = (kind, attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    node.textContent = text;
    return node;
  };
  const n = page.episode.examples.length, x = (i) => 45 + (345 * i) / Math.max(9, n - 1), y = (accuracy) => 100 - 90 * accuracy;
  const axes = [0, 0.5, 1].flatMap((v) => [made("line", { x1: 45, x2: 390, y1: y(v), y2: y(v) }), made("text", { x: 0, y: y(v) + 4 }, percent(v))]);
  const lines = curves.map(([who, right]) => {
    let sum = 0;
    return made("polyline", { class: who, points: right.map((is, i) => `${x(i)},${y((sum += is) / (i + 1))}`).join(" ") });
  });
  element("chart").replaceChildren(...axes, made("text", { x: 45, y: 116 }, `${n} example${n === 1 ? "" : "s"}`), ...lines);
}

function paintDrawing() {
  const canvas = element("drawing"), pencil = canvas.getContext("2d"), size = canvas.width;
  const colour = getComputedStyle(document.body).color;
  pencil.clearRect(0, 0, size, size);
  if (page.picture !== null) return paintImage(canvas, page.picture);
  Object.assign(pencil, { strokeStyle: colour, fillStyle: colour, lineWidth: 0.06 * size, lineCap: "round", lineJoin: "round" });
  for (const stroke of page.strokes) {
    pencil.beginPath();
    [stroke[0], ...stroke].forEach(([x, y]) => pencil.lineTo(x * size, y * size));
    pencil.stroke();
  }
  if (!page.pen.isShown) return;
  pencil.lineWidth = 3;
  pencil.beginPath();
  pencil.arc(page.pen.x * size, page.pen.y * size, 14, 0, 2 * Math.PI);
  page.pen.isDown ? pencil.fill() : pencil.stroke();
}

/** Values of any range in the text's colour, from transparent for the least to opaque for the largest. */
function paintImage(canvas, values) {
  const small = new OffscreenCanvas(SIDE, SIDE), pixels = new ImageData(SIDE, SIDE), pencil = canvas.getContext("2d");
  const [red, green, blue] = getComputedStyle(document.body).color.match(/\d+/g).map(Number);
  const [low, high] = values ? [Math.min(...values), Math.max(...values)] : [0, 1];
  values?.forEach((value, i) => pixels.data.set([red, green, blue, (255 * (value - low)) / (high - low || 1)], 4 * i));
  small.getContext("2d").putImageData(pixels, 0, 0);
  pencil.imageSmoothingEnabled = false;
  pencil.clearRect(0, 0, canvas.width, canvas.height);
  pencil.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function offerHeads() {
  const { n_layers, n_heads } = model.settings;
  for (let layer = 0; layer < n_layers; layer++) {
    for (let head = -1; head < n_heads; head++) {
      const text = head < 0 ? `layer ${layer + 1}, mean of its heads` : `layer ${layer + 1}, head ${head + 1}`;
      element("head").append(new Option(text, `${layer} ${head}`));
    }
  }
}

function listen() {
  const on = (id, kind, action) => element(id).addEventListener(kind, () => action());
  listenToPointer(element("drawing"));
  element("drawing").addEventListener("keydown", drawByKey);
  document.addEventListener("keydown", answerByKey);
  on("undo", "click", undo);
  on("clear", "click", clearDrawing);
  on("rename", "click", rename);
  on("head", "change", showAttended);
  on("new", "click", startEpisode);
  on("stop", "click", stop);
  on("projected", "change", switchProjection);
  document.querySelectorAll(".play").forEach((button) => button.addEventListener("click", () => play(button.dataset.dataset)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}

offerHeads();
listen();
startEpisode();
