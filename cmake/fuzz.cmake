# The preset `fuzz` is there for the fuzzers alone, and its build is much of what fuzz.short takes: sources that none of them reaches are
# left out. A fuzzer that comes to need one of these does not link until it is taken off the list.

set(unreached
    "/ram/(direct_page_sink|dirty_rate|live_page|saver|stream_page_sink|xbzrle_cache|xbzrle_page_sink)"
    "/block/(disk_write_tracker|fault|saver)"
    "/migration/(convergence|disk_flush|outgoing|switchover_policy|throttle_policy)"
    "/io/(address|allocation|child_process|connect|descriptor|detached|disk_|event_loop|exec_|file_|image_lock|listen|local_openers|name|nbd_)"
    "/io/(new_image|openers|overlay|pipe|public_api|raw_disk|socket_address|socket_channel|spdlog|tls_(channel|openers|session)|temporary|thread_queue|uffd|uring)"
    "/rdma/(make_fabric|network_interface|openers|public_openers|ucx_|vm_write)"
    "/monitor/(block|control|descriptor|dirty_rate|migration|monitor_|older|unix_)"
    "/machine/(accelerator_choice|cpu_throttle|disk_worker|elf_loader|emulator_|exit_port|firmware|guest_ram|machine_event)"
    "/machine/(microvm|pvh_boot|serial_(file|open|stdio|unix)|vcpu_set|vcpu_thread|virtio_(blk(\\.|_request|_worker)|disks|mmio)|virtqueue|virtual_machine)"
    "/tools/(trace_file|trace_writer)")
foreach(target godwit-core godwit-io godwit-program)
  get_target_property(sources ${target} SOURCES)
  foreach(pattern IN LISTS unreached)
    list(FILTER sources EXCLUDE REGEX "/src${pattern}")
  endforeach()
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
endforeach()
