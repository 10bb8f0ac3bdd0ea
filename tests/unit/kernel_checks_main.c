/* kernel_checks_main.c: kernel_checks.h as a program, for processors that need an emulator here. Prints the
 * rows of kernels.def that ran. Exits 1 if any result differed. */
#include "kernel_checks.h"

int main(void)
{
	load_rows();
	for (int i = 0; i < nrows; i++)
		printf("%s%s", rows[i].name, i + 1 < nrows ? " " : "\n");
	for (int i = 0; i < KERNEL_CHECKS; i++)
		kernel_checks[i].run();
	printf("%d rows, %d checks, %d failures\n", nrows, checks, failures);
	return failures != 0;
}
