/* schemes.h: label schemes of taggers. A label is O, or a letter, '-' and a type, or only a type. A scheme
 * says which letters are prefixes. Ramshaw & Marcus 1995 (IOB), Tjong Kim Sang & Veenstra 1999 (IOB1, IOB2,
 * IOE2), Ratinov & Roth 2009 (BILOU). A span ends after E, L, S and U. A span begins at B, S and U, after O
 * and at another type; so IOB1 and IOB2 are read alike. Labels without prefix are read as I. */
#ifndef RT_SCHEMES_H
#define RT_SCHEMES_H
#include "../rt.h"

enum {
	RT_SCHEME_IO,
	RT_SCHEME_IOB1,
	RT_SCHEME_IOB2,
	RT_SCHEME_IOE2,
	RT_SCHEME_BIOES,
	RT_SCHEME_BILOU,
	RT_SCHEMES
};

RT_INLINE const char *rt_scheme_name(int scheme)
{
	static const char *const names[] = {"io", "iob1", "iob2", "ioe2", "bioes", "bilou"};
	return names[scheme];
}

/* The prefixes. */
RT_INLINE const char *rt_scheme_letters(int scheme)
{
	static const char *const letters[] = {"I", "BI", "BI", "IE", "BIES", "BILU"};
	return letters[scheme];
}

/* The kind of a label, 'O' or a letter, and its type. */
RT_INLINE char rt_tag_kind(const char *label, int scheme, const char **type)
{
	static const char all[] = "BIESLU";
	const int dashed = label[0] && label[1] == '-' && label[2];
	*type = label;
	if (strcmp(label, "O") == 0)
		return 'O';
	if (!dashed || !strchr(scheme == RT_SCHEME_IO ? all : rt_scheme_letters(scheme), label[0]))
		return 'I';
	*type = label + 2;
	return scheme == RT_SCHEME_IO ? 'I' : label[0];
}

/* Whether a span begins at a label that follows another one (NULL: none), neither of them O. */
RT_INLINE int rt_tag_begins(const char *before, const char *label, int scheme)
{
	const char *type, *last;
	const char kind = rt_tag_kind(label, scheme, &type);
	if (!before || strchr("BSU", kind))
		return 1;
	return strchr("ELSU", rt_tag_kind(before, scheme, &last)) || strcmp(last, type) != 0;
}

/* Whether the labels have LETTER-TYPE; type NULL: of any type. */
RT_INLINE int rt_scheme_has(const char *const *labels, int32_t n, char letter, const char *type)
{
	for (int32_t i = 0; i < n; i++)
		if (labels[i][0] == letter && labels[i][1] == '-' && (!type || strcmp(labels[i] + 2, type) == 0))
			return 1;
	return 0;
}

/* Whether every label but O has a prefix of the scheme. E and L must have a first or inner word of their
 * type, and S and U an E or L of any type: E-MAIL alone is no prefix and type. */
RT_INLINE int rt_scheme_fits(const char *const *labels, int32_t n, int scheme)
{
	for (int32_t i = 0; i < n; i++) {
		const char *type, *label = labels[i];
		const char kind = rt_tag_kind(label, scheme, &type);
		const int whole = kind == 'S' || kind == 'U', last = kind == 'E' || kind == 'L';
		if ((kind != 'O' && type == label)
			|| (whole && !rt_scheme_has(labels, n, kind == 'S' ? 'E' : 'L', NULL))
			|| (last && !rt_scheme_has(labels, n, 'B', type) && !rt_scheme_has(labels, n, 'I', type)))
			return 0;
	}
	return 1;
}

/* The scheme of a tagger's labels. Where no scheme fits all labels, B- and I- are prefixes. */
RT_INLINE int rt_scheme_of(const char *const *labels, int32_t n)
{
	static const int order[] = {RT_SCHEME_IOB2, RT_SCHEME_IOE2, RT_SCHEME_BIOES, RT_SCHEME_BILOU};
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (rt_scheme_fits(labels, n, order[i]))
			return order[i];
	return RT_SCHEME_IOB2;
}
#endif
