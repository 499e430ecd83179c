#include "machine/serial_backend.h"
#include "machine/serial_file.h"
#include "machine/serial_stdio.h"
#include "machine/serial_unix.h"

namespace godwit {

Result<std::unique_ptr<SerialBackend>> open_serial_backend(const SerialSpec& spec, EventLoop& loop, Clock& clock,
                                                           Log& log) {
    switch (spec.kind) {
        case SerialSpec::Kind::stdio:
            return open_serial_stdio(loop, clock, log);
        case SerialSpec::Kind::file:
            return open_serial_file(spec.path, log);
        case SerialSpec::Kind::unix_socket:
            return open_serial_unix(spec.path, loop, log);
        case SerialSpec::Kind::none:
            break;
    }
    return nullptr;
}

}  // namespace godwit
