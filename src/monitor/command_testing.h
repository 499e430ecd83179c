#pragma once

#include "monitor/command_table.h"

namespace godwit::testing {

/// A client that sends no descriptors.
class NoClient : public CommandClient {
public:
    FileDescriptor take_descriptor() override { return {}; }
};

}  // namespace godwit::testing
