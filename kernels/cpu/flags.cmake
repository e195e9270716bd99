# Products and sums are fused where the kernels say so (vf_fma), and nowhere else, whatever the compiler.
target_compile_options(hone_cpu_device PRIVATE -ffp-contract=off)
