# The guest without 64-bit mode, paging and interrupts, on emulated CPUs and between them and KVM. Its machines are of the first kind, then of
# the second, and so on.
set(godwit_routes emulate-to-emulate kvm-to-emulate emulate-to-kvm)

# Of every route, labelled `long` unless the test is one of those that every change has to pass.
function(godwit_emulated_test route name)
  string(REPLACE "-to-" ";" accelerators ${route})
  set(labels "e2e;long")
  if(${route}.${name} IN_LIST godwit_emulated_always)
    set(labels e2e)
  endif()
  godwit_e2e_test(${route}.${name} "${labels}" 300 ${ARGN} --route ${accelerators})
endfunction()

set(godwit_emulated_always
    emulate-to-emulate.ping_pong.max kvm-to-emulate.ping_pong.max kvm-to-emulate.file emulate-to-kvm.tcp.random
    emulate-hook-to-emulate-hook.ping_pong.max
    emulate-to-emulate.tcp.zero emulate-to-kvm.xbzrle emulate-to-emulate.cancel emulate-to-emulate.rdma-shm kvm-to-emulate.rdma-shm-pinned
    emulate-to-emulate.disks.legacy kvm-to-emulate.disks.modern emulate-to-kvm.disks.shared_images)

foreach(route IN LISTS godwit_routes)
  foreach(transport tcp tcp6 unix fd exec file)
    godwit_emulated_test(${route} ${transport} e2e_migrate.py --transport ${transport} --dirtying max)
  endforeach()
  foreach(pattern zero random)
    godwit_emulated_test(${route} tcp.${pattern} e2e_migrate.py --pattern ${pattern} --dirtying max)
  endforeach()
  foreach(dirtying max paced)
    godwit_emulated_test(${route} ping_pong.${dirtying} ping_pong.py --moves 5 --transports tcp tcp6 unix fd exec --memory 32
                         --dirtying ${dirtying})
  endforeach()
  foreach(case bandwidth xbzrle cancel pause_before_switchover)
    godwit_emulated_test(${route} ${case} steering.py --case ${case})
  endforeach()
  godwit_emulated_test(${route} converge auto_converge.py --case converge)
  foreach(case stall cancel)
    godwit_emulated_test(${route} auto_converge.${case} auto_converge.py --case ${case})
  endforeach()
  foreach(case downtime dirty_pages_rate)
    godwit_emulated_test(${route} statistics.${case} statistics.py --case ${case})
  endforeach()
  godwit_emulated_test(${route} disks.legacy disks.py --case at_full_speed)
  godwit_emulated_test(${route} disks.modern disks.py --case at_full_speed --transport unix --virtio modern --ring indirect)
  foreach(case of_history slow_request shared_images)
    godwit_emulated_test(${route} disks.${case} disks.py --case ${case})
  endforeach()
  foreach(way IN LISTS rdma_ways)
    godwit_emulated_test(${route} rdma-${way} ping_pong.py --moves 2 --transports rdma-${way} --dirtying max)
    godwit_emulated_test(${route} rdma-${way}.cancel steering.py --transport rdma-${way} --case cancel)
    foreach(case disk registrations)
      godwit_emulated_test(${route} rdma-${way}.${case} rdma.py --way ${way} --case ${case})
    endforeach()
  endforeach()
  list(APPEND godwit_emulated_alone e2e.${route}.converge e2e.${route}.auto_converge.stall e2e.${route}.auto_converge.cancel
       e2e.${route}.statistics.downtime e2e.${route}.statistics.dirty_pages_rate)
endforeach()
# Where the kernel does not tell which pages are written.
foreach(route emulate-hook-to-emulate-hook kvm-to-emulate-hook)
  godwit_emulated_test(${route} ping_pong.max ping_pong.py --moves 5 --transports tcp unix exec --memory 32 --dirtying max)
  godwit_emulated_test(${route} tcp.random e2e_migrate.py --pattern random --dirtying max)
  godwit_emulated_test(${route} cancel steering.py --case cancel)
  godwit_emulated_test(${route} disks.legacy disks.py --case at_full_speed)
endforeach()
godwit_e2e_test(emulate_refused e2e 120 emulate_refused.py)
godwit_e2e_test(emulate.dirty_rate "e2e;long" 120 dirty_rate.py --route emulate)
godwit_e2e_test(emulate.latency e2e 120 latency.py --route emulate)
list(APPEND godwit_emulated_alone e2e.emulate.dirty_rate e2e.emulate.latency)
# They compare figures with the clock.
set_tests_properties(${godwit_emulated_alone} PROPERTIES RUN_SERIAL ON)
