/* similarity.h: how near two embeddings are, or the vectors of the tokens of two texts. Programs
 * (--similarity, --query), the C API and `bertc eval` share this code. */
#ifndef RT_SIMILARITY_H
#define RT_SIMILARITY_H
#include "../rt.h"
#include <math.h>

enum { RT_SIMILARITY_LANES = 16 }; /* sums that the compiler keeps in vector registers */

/* By the names of SimilarityFunction of sentence-transformers; NULL is cosine. Distances are negative, so
 * that more is nearer. */
RT_INLINE double rt_similarity(const char *name, const float *a, const float *b, int32_t n)
{
	double dot = 0, squares = 0, sum = 0, lengths[2] = {0, 0};
	for (int32_t i = 0; i < n; i++) {
		const double x = (double)a[i], y = (double)b[i];
		dot += x * y;
		squares += (x - y) * (x - y);
		sum += fabs(x - y);
		lengths[0] += x * x;
		lengths[1] += y * y;
	}
	if (name && strcmp(name, "dot") == 0)
		return dot;
	if (name && strcmp(name, "euclidean") == 0)
		return -sqrt(squares);
	if (name && strcmp(name, "manhattan") == 0)
		return -sum;
	return dot / (fmax(sqrt(lengths[0]), 1e-12) * fmax(sqrt(lengths[1]), 1e-12));
}

RT_INLINE float rt_similarity_dot(const float *a, const float *b, int32_t n)
{
	float lane[RT_SIMILARITY_LANES] = {0}, sum = 0;
	int32_t i = 0;
	for (; i + RT_SIMILARITY_LANES <= n; i += RT_SIMILARITY_LANES)
		for (int k = 0; k < RT_SIMILARITY_LANES; k++)
			lane[k] += a[i + k] * b[i + k];
	for (; i < n; i++)
		sum += a[i] * b[i];
	for (int k = 0; k < RT_SIMILARITY_LANES; k++)
		sum += lane[k];
	return sum;
}

/* Khattab, Zaharia: "ColBERT", 2020, section 3.3: the score (MaxSim) of a document for a query is the sum,
 * over the rows of the query, of the largest product with a row of the document; mean: divided by the rows of
 * the query. As in sentence-transformers, a document without rows has the score -1e9. */
RT_INLINE double rt_maxsim(
	const float *query, int32_t nquery, const float *document, int32_t ndocument, int32_t width, int mean)
{
	float sum = ndocument > 0 ? 0 : -1e9f;
	for (int32_t q = 0; q < nquery && ndocument > 0; q++) {
		float best = -INFINITY;
		for (int32_t i = 0; i < ndocument; i++) {
			const float product = rt_similarity_dot(
				query + (size_t)q * (size_t)width, document + (size_t)i * (size_t)width, width);
			if (product > best || product != product) /* what is not a number is the largest, as in torch */
				best = product;
		}
		sum += best;
	}
	return (double)(mean ? sum / (float)rt_max(nquery, 1) : sum);
}
#endif
