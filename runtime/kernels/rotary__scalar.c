/* rotary__scalar.c: rotary positions (Su et al. 2021, "RoFormer", equation 34; pairs as in GPT-NeoX): rotates
 * pairs of columns of each head by angles that depend on the token's position.
 *
 *   out     [r1][H]   rows r0..r1-1 are written; may be x
 *   x       [r1][H]   H / d heads of d columns; the first `heads` are rotated, the others copied
 *   angles  [r1][r]   cosines, then sines, r/2 each; columns i and i + r/2 of a head are a pair, r <= d */

RT_INLINE void rotary_f32__scalar(
	float *out, const float *x, const float *angles, int r0, int r1, int H, int d, int r, int heads)
{
	const int half = r / 2;
	for (int t = r0; t < r1; t++) {
		const float *row = x + (size_t)t * (size_t)H, *cosines = angles + (size_t)t * (size_t)r,
					*sines = cosines + half;
		float *y = out + (size_t)t * (size_t)H;
		for (int head = 0; head < heads; head++, row += d, y += d) {
			for (int i = 0; i < half; i++) {
				const float a = row[i], b = row[i + half];
				y[i] = a * cosines[i] - b * sines[i];
				y[i + half] = b * cosines[i] + a * sines[i];
			}
			if (y != row)
				memcpy(y + r, row + r, (size_t)(d - r) * sizeof *y);
		}
		if (y != row)
			memcpy(y, row, (size_t)(H - heads * d) * sizeof *y);
	}
}
