#include "monitor/block_commands.h"

#include <utility>

namespace godwit {

namespace {

/// The members that QEMU has and that mean something here.
Json disk_report(const BlockEntry& disk) {
    return {{"device", disk.device},
            {"type", "unknown"},
            {"removable", false},
            {"locked", false},
            {"inserted",
             {{"file", disk.image},
              {"drv", disk.driver},
              {"ro", disk.read_only},
              {"encrypted", false},
              {"image", {{"filename", disk.image}, {"format", disk.driver}, {"virtual-size", disk.size.value()}}}}}};
}

}  // namespace

void add_block_commands(CommandTable& commands, std::function<std::vector<BlockEntry>()> disks) {
    commands.add({"query-block",
                  "The disks of the machine: names, images, sizes.",
                  {},
                  [disks = std::move(disks)](const Json&, CommandClient&) -> Result<Json> {
                      Json list = Json::array();
                      for (const BlockEntry& disk : disks()) {
                          list.push_back(disk_report(disk));
                      }
                      return list;
                  }});
}

}  // namespace godwit
