#pragma once

#include "godwit/parameters.h"

namespace godwit {

/// What a session asks its owner for while it runs. Any thread.
class ParameterSource {
public:
    virtual ~ParameterSource() = default;
    virtual MigrationParameters current_parameters() const = 0;
};

}  // namespace godwit
