#include "passes/high.h"
