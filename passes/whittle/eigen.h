/* eigen.h: leading eigenvectors, for passes that keep or remove the directions in which most lies. Internal
 * to passes/. */
#ifndef BERTC_EIGEN_H
#define BERTC_EIGEN_H
#include <stdint.h>

/* [count,n]: unit eigenvectors of the symmetric matrix m [n,n], which has no negative eigenvalues and is used
 * up; largest eigenvalue first, zeros for an eigenvalue of 0. *share: of the sum of all eigenvalues. The
 * caller frees it; */
double *eigen_leading(double *m, int64_t n, int64_t count, double *share);
#endif
