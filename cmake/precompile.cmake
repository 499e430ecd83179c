# What libraries' headers cost is most of a build: godwit_precompile(TARGET HEADER...) has them parsed once per target. The project's own
# headers stay out of it, so that a source still names what it uses (clang-tidy compiles without any of this).

option(GODWIT_PRECOMPILE "Precompile the libraries' headers" ON)

# What most sources take of the standard library.
set(GODWIT_STANDARD_HEADERS
    algorithm array atomic chrono condition_variable cstdint cstring deque filesystem functional limits map memory mutex optional random set
    span string string_view thread tuple utility variant vector)

if(GODWIT_CCACHE)
  # ccache has to be told that what a precompiled header defines is known from its contents.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${GODWIT_CCACHE})
endif()

function(godwit_precompile target)
  if(GODWIT_PRECOMPILE)
    if(GODWIT_FUZZ)
      list(APPEND ARGN ${GODWIT_STANDARD_HEADERS})
    endif()
    list(TRANSFORM ARGN PREPEND "<" OUTPUT_VARIABLE headers)
    list(TRANSFORM headers APPEND ">")
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
    target_precompile_headers(${target} PRIVATE ${headers})
  endif()
endfunction()
