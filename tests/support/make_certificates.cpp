// make-certificates DIRECTORY: writes the TLS credentials that tests need, see io/tls_testing.h.
#include <cstdio>

#include "io/tls_testing.h"

int main(int count, char** arguments) {
    if (count != 2) {
        std::fputs("make-certificates DIRECTORY\n", stderr);
        return 2;
    }
    godwit::test::write_directories(arguments[1]);
    return 0;
}
