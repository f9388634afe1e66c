/* The forward pass of gpicl_agents/models/transformer.py with tokens="paired", one example of one episode at a time.
   Letters: D inputs, K labels, P projections, H heads; a matrix is stored by rows, as in torch.nn.Linear. */

/** Read the float16 tensors of a safetensors file → name → Float32Array. */
function readTensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const values = halfValues(), tensors = {};
  for (const [name, { dtype, data_offsets: [from, to] }] of Object.entries(header)) {
    if (dtype !== "F16") throw new Error(`${name} has ${dtype} weights, not F16`);
    const tensor = new Float32Array((to - from) / 2);
    for (let i = 0; i < tensor.length; i++) tensor[i] = values[view.getUint16(start + from + 2 * i, true)];
    tensors[name] = tensor;
  }
  return tensors;
}

/** The value of each of the 65,536 half-precision numbers. */
function halfValues() {
  return Float32Array.from({ length: 65536 }, (_, code) => {
    const sign = code >> 15 ? -1 : 1, exponent = (code >> 10) & 31, fraction = (code & 1023) / 1024;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
  });
}

/** `rows` rows of a matrix, from row `first`, times x, plus a bias. */
function linear(matrix, x, bias = null, first = 0, rows = matrix.length / x.length) {
  const out = new Float32Array(rows), n = x.length;
  for (let row = 0, at = first * n; row < rows; row++) {
    let sum = bias ? bias[row] : 0;
    for (let i = 0; i < n; i++) sum += matrix[at++] * x[i];
    out[row] = sum;
  }
  return out;
}

function dot(a, b, from = 0, to = a.length) {
  let sum = 0;
  for (let i = from; i < to; i++) sum += a[i] * b[i];
  return sum;
}

/** x at norm `size`; zeros stay zeros. */
function scaledTo(size, x) {
  const factor = size / Math.max(Math.sqrt(dot(x, x)), 1e-12);
  return x.map((value) => factor * value);
}

function layerNorm(x, weight, bias) {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const factor = 1 / Math.sqrt(variance + 1e-5);
  return x.map((value, i) => (value - mean) * factor * weight[i] + bias[i]);
}

function softmax(logits) {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Float64Array.from(logits, (value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function add(x, change) {
  for (let i = 0; i < x.length; i++) x[i] += change[i];
}

class Transformer {
  /** settings: n_features, n_classes, width, n_layers, n_heads, input_rank, n_projections; weights: name → values. */
  constructor(settings, weights) {
    this.settings = settings;
    this.weights = weights;
  }

  /** The state before the first example: the sum of the inputs, and of each projection the last input and the cache. */
  start() {
    const { n_features, n_layers, n_projections } = this.settings;
    const cache = () => Array.from({ length: n_layers }, () => ({ keys: [], values: [] }));
    const each = Array.from({ length: n_projections }, () => ({ previous: null, cache: cache() }));
    return { n: 0, total: new Float32Array(n_features), each };
  }

  /** Predict the label of x, given the state after the examples before and the label of the last of them.
      Returns {probabilities (K,), attention[layer][head] (n + 1,), state}; the state that was given is unchanged.
      Entry i of attention is what token i got, which holds the label of example i − 1; the mean over projections. */
  step(state, x, previousLabel) {
    const { n_classes, n_layers, n_heads, n_projections } = this.settings;
    const total = x.map((value, i) => value + state.total[i]);
    const direction = scaledTo(1, x.map((value, i) => value - total[i] / (state.n + 2)));
    const probabilities = new Float64Array(n_classes), each = [];
    const attention = Array.from({ length: n_layers }, () =>
      Array.from({ length: n_heads }, () => new Float64Array(state.n + 1)));
    state.each.forEach(({ previous, cache }, p) => {
      const h = this.project(direction, p), token = this.embed(h, previous, previousLabel), after = [];
      cache.forEach((part, layer) => after.push(this.block(layer, token, part, attention[layer])));
      const hidden = layerNorm(token, this.weights["norm.weight"], this.weights["norm.bias"]);
      add(probabilities, softmax(linear(this.weights["read_out.weight"], hidden, this.weights["read_out.bias"])));
      each.push({ previous: h, cache: after });
    });
    const mean = (values) => values.map((value) => value / n_projections);
    return {
      probabilities: mean(probabilities),
      attention: attention.map((heads) => heads.map(mean)),
      state: { n: state.n + 1, total, each },
    };
  }

  /** (D,) → (rank,) through the p-th projection. */
  project(direction, p) {
    const rank = this.settings.input_rank;
    const h = rank ? linear(this.weights["shared.weight"], direction, null, p * rank, rank) : direction;
    return scaledTo(Math.sqrt(h.length), h);
  }

  embed(h, previous, previousLabel) {
    const token = linear(this.weights["embed_input.weight"], h), labels = this.weights["embed_label.weight"];
    if (previous === null) {
      add(token, this.weights.first);
      return token;
    }
    add(token, linear(this.weights["embed_previous.weight"], previous));
    for (let i = 0; i < token.length; i++) token[i] += labels[i * this.settings.n_classes + previousLabel];
    return token;
  }

  /** Change the token as a block does, add what its heads read to `attention`, and return the longer cache. */
  block(layer, token, cache, attention) {
    const weight = (name) => this.weights[`blocks.${layer}.${name}`], width = token.length;
    const normed = layerNorm(token, weight("norm_attention.weight"), weight("norm_attention.bias"));
    const parts = linear(weight("queries_keys_values.weight"), normed);
    const size = width / this.settings.n_heads, read = new Float32Array(width);
    const key = new Float32Array(width), query = new Float32Array(width);
    const keys = [...cache.keys, key], values = [...cache.values, parts.subarray(2 * width)];
    for (let head = 0; head < this.settings.n_heads; head++) {
      const from = head * size, to = from + size;
      query.set(scaledTo(Math.exp(weight("log_scale")[head]), parts.slice(from, to)), from);
      key.set(scaledTo(Math.sqrt(size), parts.slice(width + from, width + to)), from);
      const weights = softmax(keys.map((other) => dot(query, other, from, to) / Math.sqrt(size)));
      add(attention[head], weights);
      values.forEach((value, i) => {
        for (let j = from; j < to; j++) read[j] += weights[i] * value[j];
      });
    }
    add(token, linear(weight("attention_out.weight"), read));
    const inner = layerNorm(token, weight("norm_mlp.weight"), weight("norm_mlp.bias"));
    const hidden = linear(weight("mlp_in.weight"), inner, weight("mlp_in.bias")).map((value) => Math.max(value, 0));
    add(token, linear(weight("mlp_out.weight"), hidden, weight("mlp_out.bias")));
    return { keys, values };
  }
}
