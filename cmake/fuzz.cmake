# The preset `fuzz` is there for the fuzzers alone, and its build is much of what fuzz.short takes: sources that none of them reaches are
# left out. A fuzzer that comes to need one of these does not link until it is taken off the list.

set(unreached
    "/ram/(direct_page_sink|dirty_rate|live_page|saver|stream_page_sink|xbzrle_cache|xbzrle_page_sink)"
    "/block/(disk_write_tracker|saver)"
    "/migration/(convergence|disk_flush|outgoing|switchover_policy|throttle_policy)"
    "/io/(child_process|connect|descriptor|detached|event_loop|exec_|file_channel|listen|local_openers|name|openers|pipe|public_api)"
    "/io/(socket_address|socket_channel|spdlog|uffd)"
    "/rdma/(make_fabric|network_interface|openers|public_openers|ucx_|vm_write)"
    "/monitor/(block|control|descriptor|dirty_rate|migration|monitor_|older|unix_)"
    "/machine/(accelerator_choice|cpu_throttle|disk_worker|emulator_|exit_port|firmware|machine_event)"
    "/machine/(microvm|serial_(file|open|stdio|unix)|vcpu_set|vcpu_thread|virtio_(blk(\\.|_request|_worker)|disks|mmio)|virtqueue|virtual_machine)"
    "/tools/(trace_file|trace_writer)")
foreach(target godwit-core godwit-io godwit-program)
  get_target_property(sources ${target} SOURCES)
  foreach(pattern IN LISTS unreached)
    list(FILTER sources EXCLUDE REGEX "/src${pattern}")
  endforeach()
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
endforeach()

# Most of such a build is optimising what templates of the JSON library become, time and again. Where compiling takes longer than the few
# thousand inputs of fuzz.short it is left out; the preset `fuzz-long` does it, for runs that last.
if(NOT GODWIT_FUZZ_OPTIMISED)
  target_compile_options(godwit-io PRIVATE -O0)
  target_compile_options(godwit-program PRIVATE -O0)
  # The precompiled headers of the library are those of its optimised sources.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/migration/manifest.cpp ${CMAKE_SOURCE_DIR}/src/stream/vm_description.cpp
                              PROPERTIES COMPILE_OPTIONS -O0 SKIP_PRECOMPILE_HEADERS ON)
endif()
