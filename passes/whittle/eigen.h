/* eigen.h: leading eigenvectors, for passes that keep or remove the directions of largest variance. Internal
 * to passes/. */
#ifndef BERTC_EIGEN_H
#define BERTC_EIGEN_H
#include <stdint.h>

/* [count,n]: unit eigenvectors of the symmetric matrix m [n,n], largest eigenvalue first, with zeros for an
 * eigenvalue of 0. m must have no negative eigenvalues and is overwritten. *share: their part of the sum of
 * all eigenvalues. The caller frees the result; */
double *eigen_leading(double *m, int64_t n, int64_t count, double *share);
#endif
