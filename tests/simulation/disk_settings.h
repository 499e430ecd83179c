#pragma once

#include <array>

#include "godwit/parameters.h"

namespace godwit {

/// What decides whether and how disks move, for `Migration::set`.
inline const std::array<ParameterInfo, 3>& disk_settings() {
    static const std::array<ParameterInfo, 3> settings{
        ParameterInfo{.name = "block", .help = {}, .member = &MigrationParameters::block, .capability = true},
        ParameterInfo{.name = "block-incremental", .help = {}, .member = &MigrationParameters::block_incremental},
        ParameterInfo{
            .name = "zero-blocks", .help = {}, .member = &MigrationParameters::zero_blocks, .capability = true}};
    return settings;
}

}  // namespace godwit
