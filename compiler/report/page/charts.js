/* charts.js: axes, points and bars, in SVG, for the panels of all files. */
"use strict";

function ticks(low, high) {
	const span = high - low || Math.abs(high) || 1,
		rough = span / 4,
		power = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 2.5, 5, 10].map(f => f * power).find(s => s >= rough),
		out = [];
	for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) out.push(t);
	return out;
}

/* The place for a label beside a point where it covers the least of other labels and points. */
function free_place(x, y, width, W, taken) {
	let best = null,
		least = Infinity;
	for (const [dx, dy, anchor] of [
		[11, 4, "start"],
		[-11, 4, "end"],
		[0, -12, "middle"],
		[0, 22, "middle"],
		[9, -10, "start"],
		[9, 18, "start"],
		[-9, -10, "end"],
		[-9, 18, "end"],
		[14, 32, "start"],
		[14, -24, "start"],
	]) {
		const left = x + dx - (anchor === "end" ? width : anchor === "middle" ? width / 2 : 0),
			box = [left, y + dy - 11, left + width, y + dy + 3];
		const over =
			taken.reduce(
				(sum, t) =>
					sum +
					Math.max(0, Math.min(box[2], t[2]) - Math.max(box[0], t[0])) *
						Math.max(0, Math.min(box[3], t[3]) - Math.max(box[1], t[1])),
				0,
			) + (box[0] < 0 || box[2] > W ? 1e6 : 0);
		if (over < least) {
			least = over;
			best = [[x + dx, y + dy, anchor], box];
		}
	}
	taken.push(best[1]);
	return best[0];
}

/* points: {x, y, name, lossy}, joined in the order of the passes. */
function scatter(points, x_name, y_name, show_x, show_y) {
	const W = 520,
		H = 320,
		left = 62,
		right = 24,
		top = 18,
		bottom = 44;
	const range = key => {
		const all = points.map(p => p[key]),
			low = Math.min(...all),
			high = Math.max(...all),
			pad = (high - low || Math.abs(high) || 1) * 0.12;
		return [low - pad, high + pad];
	};
	const [x0, x1] = range("x"),
		[y0, y1] = range("y");
	const X = v => left + ((v - x0) / (x1 - x0)) * (W - left - right),
		Y = v => H - bottom - ((v - y0) / (y1 - y0)) * (H - top - bottom);
	const picture = svg("svg", {
		viewBox: `0 0 ${W} ${H}`,
		role: "img",
		"aria-label": y_name + " against " + x_name + ", one point per pass",
	});
	for (const t of ticks(y0, y1))
		picture.append(
			svg("line", { class: "grid", x1: left, x2: W - right, y1: Y(t), y2: Y(t) }),
			svg("text", { class: "soft", x: left - 8, y: Y(t) + 4, "text-anchor": "end", text: show_y(t) }),
		);
	for (const t of ticks(x0, x1))
		picture.append(
			svg("line", { class: "grid", y1: top, y2: H - bottom, x1: X(t), x2: X(t) }),
			svg("text", {
				class: "soft",
				x: X(t),
				y: H - bottom + 18,
				"text-anchor": "middle",
				text: show_x(t),
			}),
		);
	picture.append(
		svg("text", { class: "soft", x: W - right, y: H - 6, "text-anchor": "end", text: x_name }),
		svg("text", { class: "soft", x: 4, y: 12, text: y_name }),
		svg("path", {
			class: "path",
			d: points.map((p, i) => (i ? "L" : "M") + X(p.x) + " " + Y(p.y)).join(" "),
		}),
	);
	const taken = points.map(p => [X(p.x) - 8, Y(p.y) - 8, X(p.x) + 8, Y(p.y) + 8]);
	for (const p of points) {
		const [x, y, anchor] = free_place(X(p.x), Y(p.y), p.name.length * 6.6, W, taken);
		picture.append(
			svg(
				"circle",
				{ class: p.lossy ? "dot lossy" : "dot", cx: X(p.x), cy: Y(p.y), r: 6 },
				svg("title", { text: `${p.name}: ${show_y(p.y)}, ${show_x(p.x)}` }),
			),
			svg("text", { x, y, "text-anchor": anchor, text: p.name }),
		);
	}
	return picture;
}

/* One bar per row {name, value, text, lossy}. */
function bars(rows, label) {
	const H = 24,
		W = 520,
		left = 150,
		most = Math.max(...rows.map(r => r.value), 1e-12);
	return svg(
		"svg",
		{ viewBox: `0 0 ${W} ${rows.length * H + 4}`, role: "img", "aria-label": label },
		rows.map((r, i) => [
			svg("text", {
				x: left - 8,
				y: i * H + 16,
				"text-anchor": "end",
				text: r.name.length > 20 ? r.name.slice(0, 19) + "…" : r.name,
			}),
			svg("rect", { class: "rail", x: left, y: i * H + 4, width: W - left - 90, height: H - 8, rx: 3 }),
			svg("rect", {
				class: "bar",
				x: left,
				y: i * H + 4,
				width: Math.max(0, r.value / most) * (W - left - 90),
				height: H - 8,
				rx: 3,
			}),
			svg("text", { x: W - 84, y: i * H + 16, text: r.text }),
		]),
	);
}
