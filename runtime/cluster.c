/* cluster.c: fewer rows for a text (token pooling): the first rows stay, and the others are merged into
 * clusters, each with the mean of its rows. Clavié, Chaffin, Adams: "Reducing the Footprint of Multi-Vector
 * Retrieval with Minimal Performance Impact via Token Pooling", 2024.
 *
 * Clusters join by Ward's criterion on 1 - cosine, along chains of nearest neighbours (Murtagh: "A Survey of
 * Recent Advances in Hierarchical Clustering Algorithms", 1983). Where the tree is cut, and the order of the
 * clusters, are those of scipy, which sentence-transformers calls: linkage(method="ward"), then
 * fcluster(criterion="maxclust"). Distances are kept squared. */
#include "api.h"

/* Two clusters that join. Numbers below n are rows; n + i is the cluster of joint i. */
typedef struct ClusterJoint {
	double distance;
	int32_t a, b;
} ClusterJoint;

typedef struct Cluster {
	double *pairs;                   /* n (n - 1) / 2 */
	ClusterJoint *joint;             /* n - 1 */
	int32_t n, *size, *chain, *root; /* n each */
} Cluster;

RT_API size_t cluster_bytes(int32_t n, int32_t width)
{
	const size_t rows = (size_t)n;
	return rows * rows / 2 * sizeof(double) + rows * sizeof(ClusterJoint) + 4 * rows * sizeof(int32_t)
		+ rows * (size_t)width * sizeof(float);
}

RT_INLINE double *cluster_pair(Cluster *c, int32_t i, int32_t j)
{
	const size_t a = (size_t)rt_min(i, j), b = (size_t)rt_max(i, j);
	return &c->pairs[(size_t)c->n * a - a * (a + 1) / 2 + b - a - 1];
}

/* The squares of 1 - cosine, at most 2, in f32 as in torch. */
RT_FN void cluster_distances(Cluster *c, const float *rows, int32_t width)
{
	for (int32_t i = 0; i < c->n; i++)
		for (int32_t j = i + 1; j < c->n; j++) {
			float product = 0;
			for (int32_t k = 0; k < width; k++)
				product += rows[(size_t)i * (size_t)width + (size_t)k]
					* rows[(size_t)j * (size_t)width + (size_t)k];
			float distance = 1 - product;
			distance = distance < 0 ? 0 : distance;
			distance = distance <= 2 ? distance : 2; /* also what is not a number */
			*cluster_pair(c, i, j) = (double)distance * (double)distance;
		}
}

/* Extends the chain until its last two clusters are the nearest neighbours of each other. */
RT_FN double cluster_chain(Cluster *c, int32_t *length)
{
	if (*length == 0) {
		c->chain[0] = 0;
		while (c->size[c->chain[0]] == 0)
			c->chain[0]++;
		*length = 1;
	}
	for (;;) {
		const int32_t x = c->chain[*length - 1], before = *length > 1 ? c->chain[*length - 2] : -1;
		int32_t y = before;
		double least = before < 0 ? 1e300 : *cluster_pair(c, x, before);
		for (int32_t i = 0; i < c->n; i++)
			if (c->size[i] > 0 && i != x && *cluster_pair(c, x, i) < least) {
				least = *cluster_pair(c, x, i);
				y = i;
			}
		if (y == before || *length == c->n)
			return least;
		c->chain[(*length)++] = y;
	}
}

/* Joins x into y, and sets the distances of the others to the result. */
RT_FN void cluster_join(Cluster *c, int32_t x, int32_t y, double distance)
{
	const double nx = c->size[x], ny = c->size[y];
	c->size[y] += c->size[x];
	c->size[x] = 0;
	for (int32_t i = 0; i < c->n; i++) {
		const double ni = c->size[i];
		if (c->size[i] == 0 || i == y)
			continue;
		*cluster_pair(c, i, y) = ((ni + nx) * *cluster_pair(c, i, x) + (ni + ny) * *cluster_pair(c, i, y)
									 - ni * distance)
			/ (nx + ny + ni);
	}
}

/* The joints, nearest first; those of equal distance in the order in which they were found. */
RT_FN void cluster_sort(Cluster *c)
{
	for (int32_t i = 1; i < c->n - 1; i++) {
		const ClusterJoint joint = c->joint[i];
		int32_t at = i;
		for (; at > 0 && c->joint[at - 1].distance > joint.distance; at--)
			c->joint[at] = c->joint[at - 1];
		c->joint[at] = joint;
	}
}

/* The cluster to which row i belongs so far. */
RT_FN int32_t cluster_find(const Cluster *c, int32_t i)
{
	while (c->root[i] >= 0)
		i = c->root[i];
	return i;
}

/* Names both sides of each joint by their clusters, the earlier one first. Labels are in c->size. */
RT_FN void cluster_tree(Cluster *c)
{
	for (int32_t i = 0; i < c->n; i++) {
		c->root[i] = -1;
		c->size[i] = i;
	}
	for (int32_t i = 0; i < c->n - 1; i++) {
		ClusterJoint *joint = &c->joint[i];
		const int32_t a = cluster_find(c, joint->a), b = cluster_find(c, joint->b);
		joint->a = rt_min(c->size[a], c->size[b]);
		joint->b = rt_max(c->size[a], c->size[b]);
		c->root[a] = b;
		c->size[b] = c->n + i;
	}
}

/* The distance at which the tree is cut so that at most `most` clusters are left. The first joint alone is
 * never the cut, which makes one cluster fewer than asked for where only one pair should join. */
RT_FN double cluster_cut(const Cluster *c, int32_t most)
{
	int32_t at = rt_min(1, c->n - 2);
	for (; at < c->n - 2; at++) {
		int32_t last = at;
		while (last + 1 < c->n - 1 && c->joint[last + 1].distance <= c->joint[at].distance)
			last++;
		if (c->n - last - 1 <= most)
			break;
	}
	return c->joint[at].distance;
}

/* Sets c->size[i] to the number of the cluster of row i, in the order of a walk through the tree. Returns how
 * many there are. */
RT_FN int32_t cluster_number(Cluster *c, double cut)
{
	int32_t top = 0, leader = -1, count = 0;
	memset(c->root, 0, (size_t)c->n * sizeof *c->root); /* whether the walk has been at a joint */
	c->chain[0] = c->n - 2;
	while (top >= 0) {
		const int32_t at = c->chain[top];
		const int32_t sides[2] = {c->joint[at].a, c->joint[at].b};
		int32_t down = -1;
		if (leader < 0 && c->joint[at].distance <= cut) {
			leader = at;
			count++;
		}
		for (int k = 0; k < 2 && down < 0; k++)
			if (sides[k] >= c->n && !c->root[sides[k] - c->n])
				down = sides[k] - c->n;
		if (down >= 0) {
			c->root[down] = 1;
			c->chain[++top] = down;
			continue;
		}
		for (int k = 0; k < 2; k++)
			if (sides[k] < c->n) {
				count += leader < 0;
				c->size[sides[k]] = count - 1;
			}
		if (leader == at)
			leader = -1;
		top--;
	}
	return count;
}

/* Replaces the rows by the mean of each cluster. */
RT_FN void cluster_means(Cluster *c, int32_t count, float *rows, int32_t width, float *sums)
{
	memset(sums, 0, (size_t)count * (size_t)width * sizeof *sums);
	memset(c->chain, 0, (size_t)c->n * sizeof *c->chain); /* rows in each cluster */
	for (int32_t i = 0; i < c->n; i++) {
		const int32_t to = c->size[i];
		c->chain[to]++;
		for (int32_t k = 0; k < width; k++)
			sums[(size_t)to * (size_t)width + (size_t)k] += rows[(size_t)i * (size_t)width + (size_t)k];
	}
	for (int32_t i = 0; i < count; i++)
		for (int32_t k = 0; k < width; k++)
			rows[(size_t)i * (size_t)width + (size_t)k] = sums[(size_t)i * (size_t)width + (size_t)k]
				/ (float)c->chain[i];
}

/* The whole part of n / by, as Python's n // by: exact where n / by is rounded up. */
RT_FN int32_t cluster_share(int32_t n, double by)
{
	const double high = (double)(float)by, low = by - high;
	int32_t share = (int32_t)((double)n / by) + 1;
	while (share > 0 && (share * high - n) + share * low > 0)
		share--;
	return share;
}

RT_API int32_t cluster_most(const RtLate *late, int task, int32_t n)
{
	if (!late->clusters[task] || n <= late->protect)
		return n;
	return late->protect + rt_max(cluster_share(n - late->protect, late->factor), 1);
}

RT_API int32_t cluster_rows(const RtLate *late, int task, float *rows, int32_t n, int32_t width, void *memory)
{
	if (!late->clusters[task])
		return n;
	const int32_t first = rt_min(late->protect, n), most = cluster_most(late, task, n) - first;
	float *rest = rows + (size_t)first * (size_t)width;
	Cluster c = {.n = n - first};
	c.pairs = memory;
	c.joint = (ClusterJoint *)(void *)(c.pairs + (size_t)c.n * (size_t)c.n / 2);
	c.size = (int32_t *)(void *)(c.joint + c.n);
	c.chain = c.size + c.n;
	c.root = c.chain + c.n;
	if (c.n > most) {
		cluster_distances(&c, rest, width);
		for (int32_t i = 0; i < c.n; i++)
			c.size[i] = 1;
		for (int32_t i = 0, length = 0; i < c.n - 1; i++) {
			const double distance = cluster_chain(&c, &length);
			const int32_t x = c.chain[length - 1], y = c.chain[length - 2];
			length -= 2;
			c.joint[i] = (ClusterJoint){distance, rt_min(x, y), rt_max(x, y)};
			cluster_join(&c, rt_min(x, y), rt_max(x, y), distance);
		}
		cluster_sort(&c);
		cluster_tree(&c);
		const int32_t count = cluster_number(&c, cluster_cut(&c, most));
		cluster_means(&c, count, rest, width, (float *)(void *)(c.root + c.n));
		n = first + count;
	}
	for (int32_t i = 0; late->unit && i < n; i++) {
		const double norm = text_norm(rows + (size_t)i * (size_t)width, width);
		text_scale(rows + (size_t)i * (size_t)width, width, 1 / (norm > 1e-12 ? norm : 1e-12));
	}
	return n;
}
