/* layers.js: panels of the layers of the original model: their cosines, and the targets of attention. */
"use strict";

/* ---- layers ---- */
panel("layers", "Layers", (data, section) => {
	if (data.why) return void section.append(node("p", { text: data.why }));
	section.append(
		node("p", {
			text:
				`The layers of the original model on ${data.texts} texts. A cosine near 1 means that the ` +
				"layer changes little. If the model's output without a layer has a low cosine, the model " +
				"needs that layer.",
		}),
	);
	const named = (key, show) =>
		data.layers
			.filter(l => l[key] !== undefined)
			.map(l => ({ name: "layer " + l.number, value: show(l), text: l[key].toFixed(4) }));
	const charts = node("div", { class: "charts" });
	section.append(charts);
	charts.append(
		node(
			"div",
			null,
			node("h3", { text: "cosine of input and output at [CLS] (bar: 1 − cosine)" }),
			bars(
				named("cosine_first", l => 1 - l.cosine_first),
				"cosine of input and output at the first token",
			),
		),
		node(
			"div",
			null,
			node("h3", { text: "cosine of input and output, all tokens (bar: 1 − cosine)" }),
			bars(
				named("cosine_all", l => 1 - l.cosine_all),
				"cosine of input and output over all tokens",
			),
		),
	);
	if (data.layers.some(l => l.without !== undefined))
		charts.append(
			node(
				"div",
				null,
				node("h3", { text: "cosine of outputs with and without it (bar: 1 − cosine)" }),
				bars(
					named("without", l => 1 - l.without),
					"cosine of the outputs with and without the layer",
				),
			),
		);
});

/* ---- attention ---- */
function attention_map(layer, head, tokens) {
	const n = tokens.length,
		size = 20,
		left = 90,
		top = 86;
	const picture = svg("svg", {
		class: "map",
		viewBox: `0 0 ${left + n * size + 50} ${top + n * size + 4}`,
		width: left + n * size + 50,
		role: "img",
		"aria-label": `layer ${layer.number}, head ${head}: attention from each token to each token`,
	});
	tokens.forEach((token, i) =>
		picture.append(
			svg("text", {
				x: left - 6,
				y: top + i * size + 14,
				"text-anchor": "end",
				text: token.slice(0, 12),
			}),
			svg("text", {
				transform: `translate(${left + i * size + 13} ${top - 6}) rotate(-60)`,
				text: token.slice(0, 12),
			}),
		),
	);
	layer.map[head].forEach(
		(mass, i) =>
			mass &&
			picture.append(
				svg(
					"rect",
					{
						class: "cell",
						x: left + (i % n) * size,
						y: top + Math.floor(i / n) * size,
						width: size - 1,
						height: size - 1,
						"fill-opacity": Math.min(1, mass / 60 + 0.04),
					},
					svg("title", {
						text: `${tokens[Math.floor(i / n)]} attends to ${tokens[i % n]}: ${mass} %`,
					}),
				),
			),
	);
	return picture;
}

panel("layers", "Attention", (data, section) => {
	if (data.why || !data.layers.some(l => l.heads.length))
		return void section.append(
			node("p", { text: "No attention was observed. " + (data.why || "") }),
		);
	const shown = node("div", { class: "scroll", "aria-live": "polite" });
	section.append(
		node("p", {
			text:
				"The targets of each head's attention: [CLS], [SEP], or other tokens by distance. Bars " +
				"show shares of the total. Click a head to see its attention on one text.",
		}),
		node(
			"div",
			{ class: "legend" },
			data.kinds.map((kind, k) => node("span", null, node("i", { vars: { c: `var(--k${k})` } }), kind)),
		),
		shown,
	);
	const press = (button, layer, head) => {
		section
			.querySelectorAll(".head")
			.forEach(other => other.setAttribute("aria-pressed", String(other === button)));
		shown.replaceChildren(
			node("h3", { text: `layer ${layer.number}, head ${head}: attention from rows to columns` }),
			layer.map
				? attention_map(layer, head, data.tokens)
				: node("p", { text: "All texts are too long to draw." }),
		);
	};
	const heads = node("div", { class: "heads" });
	for (const layer of data.layers)
		heads.append(
			node(
				"div",
				null,
				node("h3", { text: "layer " + layer.number }),
				layer.heads.map((mass, head) => {
					const said = mass
						.map((m, k) => data.kinds[k] + " " + Math.round(100 * m) + " %")
						.join(", ");
					const button = node(
						"button",
						{
							type: "button",
							class: "head",
							"aria-pressed": "false",
							title: said,
							"aria-label": `layer ${layer.number} head ${head}: ${said}`,
							on: { click: () => press(button, layer, head) },
						},
						node("span", { text: head }),
						node(
							"span",
							{ class: "stack" },
							mass.map((m, k) =>
								node("i", { vars: { c: `var(--k${k})`, w: (100 * m).toFixed(2) + "%" } }),
							),
						),
					);
					return button;
				}),
			),
		);
	section.append(heads);
});
