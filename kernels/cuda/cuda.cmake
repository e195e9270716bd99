# The CUDA sources, built for a GPU by nvcc (HONE_CUDA), and always as plain C++ against kernels/emu: as emu, and as emu_count,
# which counts what kernels ask of memory and in which seeded bugs can be switched on; sanitized builds, which cannot count,
# have the switch in emu itself, so that they compile the kernels once.
file(GLOB FILES_cuda CONFIGURE_DEPENDS kernels/cuda/*.cu)
file(GLOB LIMITS_cuda CONFIGURE_DEPENDS kernels/cuda/limits*.c)
file(GLOB FILES_emu CONFIGURE_DEPENDS kernels/emu/*.cpp)
list(FILTER FILES_emu EXCLUDE REGEX "/(count|mutant)\\.cpp$")

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set_source_files_properties(${FILES_cuda} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")

# hone_emulated(NAME MACHINE FLAGS): the device libhone_NAME.so; the file MACHINE beside the machine's others, FLAGS for the
# CUDA sources alone.
function(hone_emulated name machine flags)
  string(TOUPPER HONE_${name} definition)
  add_library(hone_${name}_kernels OBJECT ${FILES_cuda})
  add_library(hone_${name}_device MODULE ${FILES_emu} ${machine} ${LIMITS_cuda} $<TARGET_OBJECTS:hone_${name}_kernels>)
  foreach(target hone_${name}_kernels hone_${name}_device)
    set_target_properties(${target} PROPERTIES C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
      VISIBILITY_INLINES_HIDDEN ON)
    target_include_directories(${target} BEFORE PRIVATE kernels/emu kernels include)
    target_compile_definitions(${target} PRIVATE HONE_DEVICE_NAME="${name}" HONE_EMULATED ${definition}
      $<$<CONFIG:Debug>:HONE_WAITS=1>)
    # clang says where it does not unroll what is marked for nvcc
    target_compile_options(${target} PRIVATE -ffp-contract=off -Wno-unknown-pragmas
      $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
    target_link_libraries(${target} PRIVATE hone_flags hone_words)
  endforeach()
  target_compile_options(hone_${name}_kernels PRIVATE ${flags})
  set_target_properties(hone_${name}_device PROPERTIES OUTPUT_NAME hone_${name}
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/hone)
  target_link_libraries(hone_${name}_device PRIVATE Threads::Threads m ${CMAKE_DL_LIBS})
  target_link_options(hone_${name}_device PRIVATE -Wl,--exclude-libs,ALL)
  if(NOT HONE_SANITIZE)
    target_link_options(hone_${name}_device PRIVATE -Wl,-z,defs)
  endif()
  set(HONE_EMULATED ${HONE_EMULATED} hone_${name}_device PARENT_SCOPE)
  add_custom_target(hone_${name})
  add_dependencies(hone_${name} hone_${name}_device)
endfunction()
# Built with everything, but not with the command alone: who only wants to train does not wait for them.
set(HONE_EMULATED "")
if(HONE_SANITIZE)
  hone_emulated(emu kernels/emu/mutant.cpp "-DHONE_EMU_MUTANT")
else()
  hone_emulated(emu "" "")
  # the compiler's calls of ThreadSanitizer go to count.cpp
  hone_emulated(emu_count kernels/emu/count.cpp "-fsanitize=thread;$<$<CXX_COMPILER_ID:GNU>:-Wno-class-memaccess>")
endif()

option(HONE_CUDA "build libhone_cuda.so with nvcc" OFF)
if(HONE_CUDA)
  include(kernels/cuda/nvcc.cmake)
endif()
