#pragma once

#include <pthread.h>

#include "godwit/error.h"

namespace godwit {

/// Installs the handler of the signal that gets a thread out of KVM_RUN. It does nothing: the signal only interrupts.
/// This is the one handler that the library installs; it may be called any number of times. Errors: `internal`.
Status install_kick_handler();

/// In a thread that will be kicked: lets the kick in and keeps all other asynchronous signals for the program's other
/// threads.
void accept_only_kicks();

/// Interrupts a thread's system call. The thread must not have been joined.
void kick(pthread_t thread);

}  // namespace godwit
