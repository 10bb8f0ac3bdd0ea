/* rotary__scalar.c: rotary positions (Su et al. 2021, "RoFormer", equation 34; pairs as in GPT-NeoX or as
 * there): rotates pairs of columns of each head by angles that depend on the token's position.
 *
 *   out     [r1][H]   rows r0..r1-1 are written; may be x
 *   x       [r1][H]   H / d heads of d columns; the first `heads` are rotated, the others copied
 *   angles  [r1][r]   cosines, then sines, r/2 each; r <= d
 *   apart             r/2: columns i and i + r/2 of a head are a pair; 1: columns 2i and 2i + 1 */

RT_INLINE void rotary_f32__scalar(float *out, const float *x, const float *angles, int r0, int r1, int H,
	int d, int r, int heads, int apart)
{
	const int half = r / 2, step = apart == half ? 1 : 2;
	for (int t = r0; t < r1; t++) {
		const float *row = x + (size_t)t * (size_t)H, *cosines = angles + (size_t)t * (size_t)r,
					*sines = cosines + half;
		float *y = out + (size_t)t * (size_t)H;
		for (int head = 0; head < heads; head++, row += d, y += d) {
			for (int i = 0; i < half; i++) {
				const float a = row[i * step], b = row[i * step + apart];
				y[i * step] = a * cosines[i] - b * sines[i];
				y[i * step + apart] = b * cosines[i] + a * sines[i];
			}
			if (y != row)
				memcpy(y + r, row + r, (size_t)(d - r) * sizeof *y);
		}
		if (y != row)
			memcpy(y, row, (size_t)(H - heads * d) * sizeof *y);
	}
}
