/* probes.js: panels of measurements inside a model: attention heads, neurons that predict tags of words,
 * early exits by threshold. */
"use strict";

/* ---- heads ---- */
/* A table with one number per head and one row per layer; larger values are darker. */
function head_table(layers, key, digits) {
	const most = Math.max(...layers.flatMap(l => l[key]), 1e-12),
		wide = Math.max(...layers.map(l => l[key].length));
	const mean = l => l[key].reduce((a, b) => a + b, 0) / l[key].length;
	const heads = [...Array(wide).keys()];
	return table(
		"heat",
		["layer", ...heads, "mean"],
		layers.map(l =>
			cells([
				node("th", { scope: "row", text: l.number }),
				...heads.map(h =>
					l[key][h] === undefined
						? node("td")
						: node("td", {
								vars: { share: Math.max(0, l[key][h] / most).toFixed(3) },
								title: `head ${l.number}.${h}: ${l[key][h].toPrecision(4)}`,
								text: l[key][h].toFixed(digits),
							}),
				),
				node("td", { class: "soft", text: mean(l).toFixed(digits) }),
			]),
		),
	);
}

panel("layers", "Heads", (data, section) => {
	const layers = data.why ? [] : data.layers.filter(l => l.heads.length);
	if (!layers.length)
		return void section.append(
			node("p", { text: "No attention was observed. " + (data.why || "") }),
		);
	const by = {
		activation: "the size of its contribution to the layer on these texts",
		magnitude: "the magnitude of its weights",
	}[data.importance_by];
	section.append(
		node("p", {
			text:
				`Each head on ${data.texts} texts. Entropy is the spread of its attention in nats: 0 means ` +
				"one token, the logarithm of the length means all tokens alike. Distance is the mean " +
				"distance from a token to the tokens it attends to, in tokens." +
				(by
					? ` Importance is ${by}; prune-heads{by=${data.importance_by}} ranks heads by it.`
					: ""),
		}),
	);
	const tables = node(
		"div",
		{ class: "charts" },
		node("div", null, node("h3", { text: "entropy of attention" }), head_table(layers, "entropy", 2)),
		node("div", null, node("h3", { text: "distance" }), head_table(layers, "distance", 1)),
	);
	if (by) {
		const most = Math.max(...layers.flatMap(l => l.importance), 1e-300),
			shares = layers.map(l => ({ ...l, importance: l.importance.map(v => (100 * v) / most) }));
		tables.append(
			node(
				"div",
				null,
				node("h3", { text: "importance (of 100)" }),
				head_table(shares, "importance", 0),
			),
		);
	}
	section.append(tables);
});

/* ---- neurons ---- */
const CELL_WIDTH = 3,
	CELL_HEIGHT = 14;

/* One row per tag, one column per neuron. Positive and negative weights have different colours.
 * Intensity is the square root of the weight, because most weights are small. */
function draw_weights(canvas, data, layer) {
	const pen = canvas.getContext("2d"),
		style = getComputedStyle(document.documentElement),
		colour = [style.getPropertyValue("--warn"), style.getPropertyValue("--accent")];
	pen.clearRect(0, 0, canvas.width, canvas.height);
	data.weights.forEach((weights, tag) => {
		for (let i = 0; i < data.width; i++) {
			const weight = weights[layer * data.width + i];
			if (!weight) continue;
			pen.fillStyle = colour[+(weight > 0)];
			pen.globalAlpha = Math.sqrt(Math.abs(weight) / 100);
			pen.fillRect(i * CELL_WIDTH, tag * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT - 1);
		}
	});
}

/* The heat map of a layer. The text below it describes the cell under the pointer, or the cell reached
 * with the arrow keys. */
function weight_map(data, ranks, layer) {
	const number = data.layers[layer],
		canvas = node("canvas", {
			width: data.width * CELL_WIDTH,
			height: data.tags.length * CELL_HEIGHT,
			tabindex: 0,
			role: "img",
			"aria-label":
				`layer ${number}: weights of ${data.width} neurons for ${data.tags.length} tags; move with ` +
				"the arrow keys",
		});
	const said = node("div", { class: "soft said", "aria-live": "polite", text: "\u00a0" }),
		mark = node("i", { class: "mark", hidden: true });
	let at = [0, 0];
	const show = (neuron, tag) => {
		at = [
			Math.min(Math.max(neuron, 0), data.width - 1),
			Math.min(Math.max(tag, 0), data.tags.length - 1),
		];
		const n = layer * data.width + at[0],
			weight = (data.weights[at[1]][n] * data.largest) / 100;
		mark.hidden = false;
		mark.style.left = at[0] * CELL_WIDTH + "px";
		mark.style.top = at[1] * CELL_HEIGHT + "px";
		said.textContent =
			`neuron ${number}.${at[0]}, ${data.tags[at[1]]}: ${weight ? signed(weight, 3) : "0"}; rank ` +
			`${ranks[n] + 1} of ${ranks.length}`;
	};
	canvas.addEventListener("pointermove", e =>
		show(Math.floor(e.offsetX / CELL_WIDTH), Math.floor(e.offsetY / CELL_HEIGHT)),
	);
	canvas.addEventListener("keydown", e => {
		const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
		if (!step) return;
		e.preventDefault();
		show(at[0] + step[0], at[1] + step[1]);
		const scroll = canvas.closest(".scroll"),
			x = at[0] * CELL_WIDTH;
		if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth - 90)
			scroll.scrollLeft = x - scroll.clientWidth / 2;
	});
	draw_weights(canvas, data, layer);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
		draw_weights(canvas, data, layer),
	);
	return node(
		"div",
		{ class: "weights" },
		node("h3", { text: "layer " + number }),
		node(
			"div",
			{ class: "map-row" },
			node(
				"div",
				{ class: "tags", "aria-hidden": "true" },
				data.tags.map(tag => node("span", { text: tag, title: tag })),
			),
			node("div", { class: "scroll" }, node("div", { class: "sheet" }, canvas, mark)),
		),
		said,
	);
}

/* The first neurons of the ranking, each with its largest weight and the tag of that weight. */
function neuron_table(data, count) {
	return table(
		"words",
		["neuron", "weight", "tag"],
		data.order.slice(0, count).map(n => {
			const tag = data.weights.reduce(
				(best, w, k) => (Math.abs(w[n]) > Math.abs(data.weights[best][n]) ? k : best),
				0,
			);
			return cells([
				data.layers[Math.floor(n / data.width)] + "." + (n % data.width),
				signed((data.weights[tag][n] * data.largest) / 100, 3),
				data.tags[tag],
			]);
		}),
	);
}

panel("neurons", "Neurons", (data, section) => {
	if (data.why) return void section.append(node("p", { text: data.why }));
	const percent_of = v => (100 * v).toFixed(2) + " %",
		ranks = new Array(data.order.length),
		layers = data.layers.map((number, i) => ({
			name: "layer " + number,
			value: data.tenth[i],
			text: String(data.tenth[i]),
		}));
	data.order.forEach((n, rank) => {
		ranks[n] = rank;
	});
	section.append(
		node("p", {
			text:
				"A linear probe with an elastic net predicts the tags of words from the outputs of all " +
				`layers. It is fitted to ${data.words} words of ${data.data} and predicts ` +
				`${percent_of(data.accuracy)} of these correctly. Its weights rank the neurons, as in ` +
				"bertc rank-neurons." +
				(data.tags.length < data.all_tags
					? ` The maps show the ${data.tags.length} most frequent of ${data.all_tags} tags.`
					: ""),
		}),
	);
	section.append(
		node(
			"div",
			{ class: "charts" },
			node(
				"div",
				null,
				node("h3", { text: `layers of the top ${Math.floor(data.order.length / 10)} neurons` }),
				bars(layers, "number of neurons of each layer in the first tenth of the ranking"),
				node("h3", { text: "accuracy of the probe with part of the neurons" }),
				table(
					"words",
					["neurons", "top of the ranking", "bottom"],
					data.parts.map(part =>
						cells([
							Math.round(100 * part.share) + " %",
							percent_of(part.top),
							percent_of(part.bottom),
						]),
					),
				),
			),
			node(
				"div",
				null,
				node("h3", { text: "top neurons" }),
				neuron_table(data, 12),
			),
		),
	);
	section.append(
		node(
			"div",
			{ class: "legend" },
			[
				["--accent", "for the tag"],
				["--warn", "against the tag"],
			].map(([colour, text]) => node("span", null, node("i", { vars: { c: `var(${colour})` } }), text)),
		),
	);
	data.layers.forEach((_, layer) => section.append(weight_map(data, ranks, layer)));
});

/* ---- exits ---- */
panel("exits", "Early exits", (data, section) => {
	const timed = data.points[0].ms !== undefined,
		whole = data.points[0],
		score = v => (100 * v).toFixed(1) + " %";
	const named = key =>
		data.points.map(p => ({
			x: p[key],
			y: p.score,
			name: p.exit_entropy.toFixed(3),
			lossy: p.exit_entropy === data.default,
		}));
	section.append(
		node("p", {
			text:
				"A text exits after the first layer whose classifier has an entropy below exit_entropy " +
				`(default ${data.default.toFixed(4)}; --set changes it). Measured on ${data.texts} texts, ` +
				"one per call. Each point is a threshold; the default has the other colour." +
				(timed && data.energy !== "RAPL" ? ` Energy cannot be read: ${data.energy}.` : ""),
		}),
	);
	section.append(
		node(
			"div",
			{ class: "charts" },
			timed &&
				node(
					"div",
					null,
					node("h3", { text: "accuracy against time" }),
					scatter(named("ms"), "ms per text, one thread", "accuracy", v => v.toFixed(2), score),
				),
			!timed &&
				node(
					"div",
					null,
					node("h3", { text: "accuracy against work" }),
					scatter(
						named("work"),
						"multiply-adds, as a share of the full model",
						"accuracy",
						v => v.toFixed(2),
						score,
					),
				),
			node(
				"div",
				null,
				node("h3", { text: "accuracy against layers" }),
				scatter(
					named("layers"),
					`layers run, of ${data.layers}`,
					"accuracy",
					v => v.toFixed(1),
					score,
				),
			),
		),
	);
	const energy = data.points.some(p => typeof p.joules === "number");
	const titles = [
		"exit_entropy",
		"accuracy",
		"points",
		"layers",
		"speed-up by multiply-adds",
		timed && "ms per text",
		timed && "measured speed-up",
		energy && "J per text",
	].filter(Boolean);
	section.append(
		table(
			"exits",
			titles,
			data.points.map(p =>
				cells(
					[
						p.exit_entropy.toFixed(4),
						(100 * p.score).toFixed(2) + " %",
						signed(100 * (p.score - whole.score), 2),
						p.layers.toFixed(2),
						(1 / p.work).toFixed(2) + "x",
						timed && p.ms.toFixed(3),
						timed && p.speed_up.toFixed(2) + "x",
						energy && (typeof p.joules === "number" ? p.joules.toPrecision(3) : "–"),
					].filter(Boolean),
					{ class: p.exit_entropy === data.default ? "preset" : null },
				),
			),
		),
	);
});
