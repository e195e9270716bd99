# libhone_cuda.so: kernels/cuda/*.cu by nvcc, an object a file with the code of every architecture in it, linked by the
# C++ compiler (no device code is linked, so nvcc has no part in it).
#   -DHONE_CUDA_HOME=FOLDER       the toolkit; by default what scripts/cuda/toolkit finds
#   -DHONE_CUDA_ARCH="80;90a"     or all; by default the GPU that is there, else 80 and 90a
# all, 13.0: 6 min 45 s on 2 busy cores, a plugin of 229 MB (six architectures with line tables, and PTX); no error
# CMake's own language CUDA is not used: a source has one language, and the same files are C++ for the emulator; nor
# does it know a toolkit that is a folder of packages. clang compiles the host's half (-ccbin, CXX=clang++), but its own
# CUDA front end cannot stand in for nvcc: clang 14 knows CUDA up to 11.5, and its wrapper of the runtime's headers needs
# the template `texture` and texture_fetch_functions.h, which CUDA 12 dropped. Not one .cu file gets past that.
# 12.4, the oldest that is taken: scripts/cuda/debian_toolkit fetches Debian's (nvcc 12.4.131, runtime 12.4.127, cuBLAS 12.4.5.8),
# and all of the plugin builds with it and g++ 12 for sm_80 and sm_90a, -Werror on both sides, without a line of its own in the
# sources: 5 min of processor time, 67 MB, and what is loaded says that there is no driver. Its ptxas
# spills in one hot kernel, where 13.0's does not: attention_bwd_rows_simt<*,8>,
# by 32 to 84 bytes. (The package index has no nvcc of it: nvidia-cuda-nvcc-cu12 12.4.131 holds ptxas and libnvvm.)
set(HONE_CUDA_HOME "" CACHE PATH "folder of the CUDA toolkit (bin/nvcc, include, lib or lib64)")
set(HONE_CUDA_ARCH "" CACHE STRING "architectures of the plugin, like 80;90a, or all")
if(HONE_SANITIZE)
  message(FATAL_ERROR "HONE_CUDA with HONE_SANITIZE: sanitizers watch the kernels on the emulated device; configure without one")
endif()

# ---- the toolkit ----------------------------------------------------------------------------------------------
set(cuda_home ${HONE_CUDA_HOME})
if(NOT cuda_home)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/cuda/toolkit OUTPUT_VARIABLE cuda_home ERROR_VARIABLE said
    OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${said}")
  endif()
endif()
file(GLOB include_folders ${cuda_home}/include ${cuda_home}/targets/*/include)
file(GLOB library_folders ${cuda_home}/lib64 ${cuda_home}/lib ${cuda_home}/targets/*/lib)
set(CUDA_NVCC ${cuda_home}/bin/nvcc)
# Packages have libcudart.so.13 and no libcudart.so; stubs (of the driver) are never looked at.
foreach(name cudart cublasLt)
  set(found "")
  foreach(folder ${library_folders})
    file(GLOB files ${folder}/lib${name}.so ${folder}/lib${name}.so.[0-9]*)
    list(APPEND found ${files})
  endforeach()
  if(NOT found)
    message(FATAL_ERROR "HONE_CUDA: ${cuda_home} has no lib${name}.so; expected a CUDA toolkit of 12.4 or later")
  endif()
  list(GET found 0 CUDA_${name})
endforeach()
set(header_folder "")
foreach(folder ${include_folders})
  if(EXISTS ${folder}/cublasLt.h)
    set(header_folder ${folder})
  endif()
endforeach()
execute_process(COMMAND ${CUDA_NVCC} --version OUTPUT_VARIABLE said RESULT_VARIABLE failed)
string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" version "${said}")
set(CUDA_VERSION ${CMAKE_MATCH_1})
if(failed OR NOT header_folder OR CUDA_VERSION VERSION_LESS 12.4)
  message(FATAL_ERROR "HONE_CUDA: ${cuda_home} is no CUDA toolkit of 12.4 or later (nvcc: \"${CUDA_VERSION}\", cublasLt.h in \"${header_folder}\")")
endif()

# ---- architectures --------------------------------------------------------------------------------------------
execute_process(COMMAND ${CUDA_NVCC} --list-gpu-arch OUTPUT_VARIABLE known)
string(REGEX MATCHALL "[0-9]+" known "${known}")
set(arch_list ${HONE_CUDA_ARCH})
set(cuda_ptx "")
if(arch_list STREQUAL "all")
  set(arch_list "")
  foreach(arch 80 86 89 90a 100 120)
    string(REGEX REPLACE "[a-z]$" "" number ${arch})
    if(number IN_LIST known)
      list(APPEND arch_list ${arch})
    endif()
  endforeach()
  set(cuda_ptx -gencode=arch=compute_80,code=compute_80) # for any GPU that comes later
elseif(NOT arch_list)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader OUTPUT_VARIABLE said
    RESULT_VARIABLE failed ERROR_QUIET)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${said}")
  if(NOT failed)
    list(REMOVE_DUPLICATES capabilities)
    string(REPLACE "." "" arch_list "${capabilities}")
    list(TRANSFORM arch_list REPLACE "^90$" "90a")
  endif()
  if(NOT arch_list)
    set(arch_list 80 90a)
  endif()
endif()
string(REPLACE "," ";" arch_list "${arch_list}")
list(TRANSFORM arch_list REPLACE "^sm_" "")
set(cuda_codes "")
foreach(arch ${arch_list})
  string(REGEX REPLACE "[a-z]$" "" number ${arch})
  if(NOT number IN_LIST known OR number LESS 80)
    string(REPLACE ";" ", " known "${known}")
    message(FATAL_ERROR "HONE_CUDA_ARCH: \"${arch}\"; expected all, or architectures from 80 on that nvcc ${CUDA_VERSION} knows: ${known}")
  endif()
  list(APPEND cuda_codes -gencode=arch=compute_${arch},code=sm_${arch})
endforeach()
list(APPEND cuda_codes ${cuda_ptx})

# ---- objects --------------------------------------------------------------------------------------------------
# The host's half of a file is compiled by the C++ compiler with the flags of hone_flags. kernels/cuda itself is no include
# folder: its limits.h would stand in for the system's, which the runtime's headers include. nvcc hands the compiler one
# file in which headers cannot be told apart, so clang would call a header's functions unused.
set(host_flags -fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-unused-function,-Wshadow,-Wpointer-arith,-Wvla,-fno-strict-aliasing,-fstack-protector-strong)
set(cuda_flags -std=c++17 -O3 -lineinfo -ccbin ${CMAKE_CXX_COMPILER} -DHONE_DEVICE_NAME="cuda" -D_GNU_SOURCE
  -I${CMAKE_SOURCE_DIR}/kernels -I${CMAKE_SOURCE_DIR}/include -isystem ${header_folder})
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  list(APPEND cuda_flags -Xcompiler=${host_flags},-g)
else()
  list(APPEND cuda_flags -Xcompiler=${host_flags},-g1)
endif()
if(HONE_WERROR)
  list(APPEND cuda_flags -Xcompiler=-Werror -Werror=all-warnings)
endif()

# Does this nvcc take this C++ compiler? Asked once, because it would say so once a file in lines of its own.
set(probe ${CMAKE_BINARY_DIR}/cuda/probe)
file(WRITE ${probe}.cu "#include <cublasLt.h>\n")
execute_process(COMMAND ${CUDA_NVCC} ${cuda_flags} ${cuda_codes} -c ${probe}.cu -o ${probe}.o
  ERROR_VARIABLE said OUTPUT_VARIABLE said RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "HONE_CUDA: ${CUDA_NVCC} cannot compile with ${CMAKE_CXX_COMPILER} (name another in CXX):\n${said}")
endif()

set(cuda_objects "")
foreach(file ${FILES_cuda})
  cmake_path(GET file STEM name)
  set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(OUTPUT ${object} DEPENDS ${file} DEPFILE ${object}.d
    COMMAND ${CUDA_NVCC} ${cuda_flags} ${cuda_codes} -MD -MF ${object}.d -MT ${object} -c ${file} -o ${object}
    COMMENT "nvcc ${name}.cu" VERBATIM)
  list(APPEND cuda_objects ${object})
endforeach()

# ---- the plugin -----------------------------------------------------------------------------------------------
# The libraries are named by their files, so LIBRARY_PATH and its stubs have no say; the driver is opened by the runtime
# and never linked. They are found where they were at build time, or beside the plugin.
cmake_path(GET CUDA_cudart PARENT_PATH cudart_folder)
cmake_path(GET CUDA_cublasLt PARENT_PATH cublas_folder)
set(cuda_rpath "$ORIGIN" ${cudart_folder} ${cublas_folder})
list(REMOVE_DUPLICATES cuda_rpath)
add_library(hone_cuda_device MODULE ${cuda_objects} ${LIMITS_cuda})
set_source_files_properties(${cuda_objects} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(hone_cuda_device PROPERTIES OUTPUT_NAME hone_cuda LINKER_LANGUAGE CXX C_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/hone BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${cuda_rpath}")
target_include_directories(hone_cuda_device PRIVATE include kernels)
target_link_libraries(hone_cuda_device PRIVATE hone_flags hone_words ${CUDA_cudart} ${CUDA_cublasLt} ${CMAKE_DL_LIBS} m)
target_link_options(hone_cuda_device PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,defs
  -Wl,--as-needed -static-libstdc++ -static-libgcc)
list(APPEND HONE_DEVICES hone_cuda_device)
add_custom_target(hone_cuda)
add_dependencies(hone_cuda hone_cuda_device)
string(REPLACE ";" " " arch_list "${arch_list}")
message(STATUS "  CUDA      ${CUDA_VERSION} in ${cuda_home}, architectures: ${arch_list}")
