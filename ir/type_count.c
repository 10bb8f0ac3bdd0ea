/* type_count.c: whether two types have the same number of elements for all values of the symbols. The number
 * is a polynomial in the symbols: 384 S for [S,12,32], S^2 + S for [S,S+1]. It is compared monomial by
 * monomial. Used by reshape. */
#include <string.h>
#include "ir.h"

/* A product of at most RANK_MAX terms `scale*symbol+plus` has at most 2^RANK_MAX monomials. */
enum { MONOMIALS_MAX = 1 << RANK_MAX };
typedef struct Monomial {
	uint8_t power[SYMBOLS_MAX];
	int64_t factor;
} Monomial;
typedef struct Polynomial {
	int count;
	Monomial at[MONOMIALS_MAX];
} Polynomial;

static bool polynomial_add(Polynomial *sum, Monomial monomial)
{
	for (int i = 0; i < sum->count; i++)
		if (memcmp(sum->at[i].power, monomial.power, sizeof monomial.power) == 0)
			return !__builtin_add_overflow(sum->at[i].factor, monomial.factor, &sum->at[i].factor);
	sum->at[sum->count++] = monomial;
	return true;
}

/* False on overflow. */
static bool polynomial_of(const Type *type, Polynomial *product)
{
	*product = (Polynomial){.count = 1, .at = {{.factor = 1}}};
	for (int d = 0; d < type->rank; d++) {
		Dim dim = type->dim[d];
		Polynomial next = {0};
		for (int i = 0; i < product->count; i++) {
			Monomial constant = product->at[i], term = constant;
			if (__builtin_mul_overflow(constant.factor, dim.plus, &constant.factor)
				|| !polynomial_add(&next, constant))
				return false;
			if (dim_is_number(dim))
				continue;
			term.power[dim.symbol]++;
			if (__builtin_mul_overflow(term.factor, (int64_t)dim.scale, &term.factor)
				|| !polynomial_add(&next, term))
				return false;
		}
		*product = next;
	}
	return true;
}

static int64_t polynomial_factor(const Polynomial *polynomial, const uint8_t *power)
{
	for (int i = 0; i < polynomial->count; i++)
		if (memcmp(polynomial->at[i].power, power, SYMBOLS_MAX) == 0)
			return polynomial->at[i].factor;
	return 0;
}

static bool polynomial_equal(const Polynomial *a, const Polynomial *b)
{
	for (int i = 0; i < a->count; i++)
		if (polynomial_factor(b, a->at[i].power) != a->at[i].factor)
			return false;
	for (int i = 0; i < b->count; i++)
		if (polynomial_factor(a, b->at[i].power) != b->at[i].factor)
			return false;
	return true;
}

bool type_counts_equal(const Type *a, const Type *b)
{
	Polynomial of_a, of_b;
	return polynomial_of(a, &of_a) && polynomial_of(b, &of_b) && polynomial_equal(&of_a, &of_b);
}
