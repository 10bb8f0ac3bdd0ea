#include "ir/low.h"
int high(void) { return low(); }
