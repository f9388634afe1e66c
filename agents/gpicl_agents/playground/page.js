/* The page's state, and what changes it: drawing, answering, and episodes that play by themselves. */

const LONGEST = 100; // examples in an episode, as in meta-training
const PAUSE = 450; // milliseconds in which a prediction is seen before its answer
const STEP = 0.04; // of the drawing area: how far an arrow key moves the pen

const element = (id) => document.getElementById(id);
const settings = JSON.parse(element("settings").textContent);
const model = new Transformer(settings.arguments, readTensors(fromBase64(element("weights").textContent)));
const letters = Array.from({ length: model.settings.n_classes }, (_, i) =>
  (i < 26 ? String.fromCharCode(65 + i) : `label ${i}`));

const page = {
  episode: null, sight: null, names: [...letters], isRenaming: false, seed: 0, run: 0,
  strokes: [], pen: { x: 0.5, y: 0.5, isDown: false, isShown: false }, picture: null, message: "",
};

function fromBase64(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// -- Episodes --------------------------------------------------------------------------------------------------------

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
    ? `${now} the projection, the learner is right on ${a} of these ${n} examples; ${then} it, on ${b}. ` +
      `Predictions that are the same: ${same}.`
    : `${now} the projection: draw, or play an episode, then switch.`;
  look(page.sight && page.sight.image, page.sight ? page.sight.moments : undefined);
}

// -- Drawing ---------------------------------------------------------------------------------------------------------

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
  if (isOther || page.picture !== null || !/^\d$/.test(event.key)) return;
  if (Number(event.key) >= model.settings.n_classes) return;
  tell(Number(event.key));
}

// -- The start --------------------------------------------------------------------------------------------------------

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
  for (const button of document.querySelectorAll(".play")) {
    button.addEventListener("click", () => play(button.dataset.dataset));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}

offerHeads();
listen();
startEpisode();
