# The preset `fuzz` is there for the fuzzers alone, and its build is much of what fuzz.short takes: sources that none of them reaches are
# left out. A fuzzer that comes to need one of these does not link until it is taken off the list.

set(unreached
    "/ram/(direct_page_sink|dirty_rate|live_page|saver|stream_page_sink|xbzrle_cache|xbzrle_page_sink)"
    "/block/(disk_write_tracker|saver)"
    "/migration/(convergence|disk_flush|outgoing|switchover_policy|throttle_policy)"
    "/io/(child_process|connect|descriptor|detached|event_loop|exec_|file_channel|listen|local_openers|name|openers|pipe|public_api)"
    "/io/(socket_address|socket_channel|spdlog|tls_(channel|openers|session)|uffd)"
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

# In the preset `fuzz` compiling takes longer than the few thousand inputs that it is for. It does without those checks for undefined
# behaviour that are a fifth of the code, and of which the address sanitizer, or the preset `asan` with the same corpora, sees most; the preset
# `fuzz-long` has them.
if(NOT GODWIT_FUZZ_ALL_CHECKS)
  target_compile_options(godwit-options INTERFACE -fno-sanitize=null,alignment,object-size,vptr)
endif()
