/* What the page shows of its state: the drawing, the labels, what was read, and the score. */

const SHOWN = 6; // of the examples that attention read
const percent = (fraction) => `${(100 * fraction).toFixed(0)} %`;

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
    const { predicted, probabilities, neighbour } = sight;
    element("status").textContent =
      `Predicted: ${names[predicted]}, ${percent(probabilities[predicted])}. 1-NN: ${names[neighbour]}. What is it?`;
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
  const texts = { key: label < 10 ? label : "", name, bar: "", percent: sight ? percent(probability) : "" };
  for (const [kind, text] of Object.entries(texts)) {
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
  const [holder, key, field] = ["label", "span", "input"].map((kind) => document.createElement(kind));
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
  const ratio = (right) => {
    const count = right.filter(Boolean).length;
    return right.length ? `${count} of ${right.length} (${percent(count / right.length)})` : "–";
  };
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
  const n = page.episode.examples.length;
  const x = (i) => 45 + (345 * i) / Math.max(9, n - 1), y = (accuracy) => 100 - 90 * accuracy;
  const axes = [0, 0.5, 1].flatMap((v) => [
    made("line", { x1: 45, x2: 390, y1: y(v), y2: y(v) }),
    made("text", { x: 0, y: y(v) + 4 }, percent(v)),
  ]);
  const lines = curves.map(([who, right]) => {
    let sum = 0;
    const points = right.map((isRight, i) => `${x(i)},${y((sum += isRight) / (i + 1))}`);
    return made("polyline", { class: who, points: points.join(" ") });
  });
  const count = made("text", { x: 45, y: 116 }, `${n} example${n === 1 ? "" : "s"}`);
  element("chart").replaceChildren(...axes, count, ...lines);
}

function paintDrawing() {
  const canvas = element("drawing"), context = canvas.getContext("2d"), size = canvas.width;
  const colour = getComputedStyle(document.body).color;
  context.clearRect(0, 0, size, size);
  if (page.picture !== null) return paintImage(canvas, page.picture);
  Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 0.06 * size });
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  for (const stroke of page.strokes) {
    context.beginPath();
    [stroke[0], ...stroke].forEach(([x, y]) => context.lineTo(x * size, y * size));
    context.stroke();
  }
  if (!page.pen.isShown) return;
  context.lineWidth = 3;
  context.beginPath();
  context.arc(page.pen.x * size, page.pen.y * size, 14, 0, 2 * Math.PI);
  page.pen.isDown ? context.fill() : context.stroke();
}

/** Values of any range in the text's colour, from transparent for the least to opaque for the largest. */
function paintImage(canvas, values) {
  const small = new OffscreenCanvas(SIDE, SIDE), pixels = new ImageData(SIDE, SIDE), context = canvas.getContext("2d");
  const [red, green, blue] = getComputedStyle(document.body).color.match(/\d+/g).map(Number);
  const [low, high] = values ? [Math.min(...values), Math.max(...values)] : [0, 1];
  values?.forEach((value, i) => pixels.data.set([red, green, blue, (255 * (value - low)) / (high - low || 1)], 4 * i));
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
