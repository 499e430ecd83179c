#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tools/stream_maker_testing.h"

namespace godwit::fuzz {

/// A description with fields of all kinds, in the words of QEMU's.
inline std::string described_fields() {
    return R"("fields":[{"name":"u","type":"uint16","size":2},{"name":"i","type":"int16 equal","size":2},)"
           R"({"name":"yes","type":"bool","size":1},{"name":"raw","type":"buffer","size":2},)"
           R"({"name":"l","array_len":2,"type":"uint8","size":1},{"name":"bus","index":1,"type":"struct","size":1,)"
           R"("struct":{"vmsd_name":"b","version":0,"fields":[{"name":"x","type":"uint8","size":1}]}},)"
           R"({"name":"regs","array_len":2,"type":"struct","struct":{"vmsd_name":"r","version":1,"fields":[)"
           R"({"name":"tmp","type":"tmp","vmsd_name":"t","version":0,"fields":[)"
           R"({"name":"m","type":"uint8","size":1}],"size":1}]},"size":1}],)"
           R"("subsections":[{"vmsd_name":"dev/x","version":7,"fields":[{"name":"c","type":"timer","size":8}]}])";
}

/// Saved streams with everything that `godwit inspect` shows, and their names.
inline std::vector<std::pair<std::string, std::vector<std::byte>>> make_saved_streams() {
    const std::vector<std::uint8_t> fields{0xff, 0xfe, 0,   1, 1, 0xab, 0xcd, 1, 2, 3, 4, 5, 5, 5, 'd', 'e',
                                           'v',  '/',  'x', 0, 0, 0,    7,    0, 0, 0, 0, 0, 0, 0, 9};
    const std::string blob = R"("fields":[{"name":"data","type":"buffer","size":)";
    testing::SavedStreamMaker all("pc");
    all.command(1).start_disks().blocks({{"ram", 4}}).begin_disks().chunk("vda", 2, 0).end_disks();
    all.begin_ram().zero("ram", 0).zero("ram", 3).delta("ram", 0, 2).end_ram();
    all.device("dev", 0, fields, described_fields()).device("dev", 1, fields, described_fields()).end();
    testing::SavedStreamMaker none;
    none.blocks({{"ram", 1}}).begin_ram().zero("ram", 0).end_ram();
    none.device("timer", 0, std::vector<std::uint8_t>(24), blob + "24}]", 2);
    std::vector<std::uint8_t> state(104);
    state[3] = 7;
    std::copy_n("paused", 6, state.begin() + 4);
    none.device("globalstate", 0, state, blob + "104}]").end().command(0x8001);
    testing::SavedStreamMaker opaque;
    opaque.device("dev", 0, fields, "").end(false);
    return {{"fields", all.bytes()}, {"none", none.bytes()}, {"opaque", opaque.bytes()}};
}

}  // namespace godwit::fuzz
