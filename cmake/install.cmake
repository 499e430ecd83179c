# Installation: the libraries with their headers and a package for find_package(godwit) (component `development`), and the
# program (component `program`).

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(GODWIT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/godwit)

# Users compile against godwit/*.h, which is C++20.
target_compile_features(godwit-core PUBLIC cxx_std_20)
set_target_properties(godwit-core PROPERTIES EXPORT_NAME core)
set_target_properties(godwit-io PROPERTIES EXPORT_NAME io)
add_library(godwit::core ALIAS godwit-core)
add_library(godwit::io ALIAS godwit-io)

# What core takes from header-only libraries is inside it once it has been built: users need nothing for it.
get_target_property(godwit_core_links godwit-core INTERFACE_LINK_LIBRARIES)
list(TRANSFORM godwit_core_links REPLACE "^\\$<LINK_ONLY:(nlohmann_json::nlohmann_json)>$" "$<BUILD_INTERFACE:\\1>")
set_target_properties(godwit-core PROPERTIES INTERFACE_LINK_LIBRARIES "${godwit_core_links}")

install(TARGETS godwit-core godwit-io EXPORT godwit-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/godwit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development FILES_MATCHING PATTERN "*.h")
install(EXPORT godwit-targets NAMESPACE godwit:: DESTINATION ${GODWIT_PACKAGE_DIR} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/godwit-config.cmake.in
                              ${CMAKE_CURRENT_BINARY_DIR}/godwit-config.cmake INSTALL_DESTINATION ${GODWIT_PACKAGE_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/godwit-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/godwit-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/godwit-config-version.cmake
        DESTINATION ${GODWIT_PACKAGE_DIR} COMPONENT development)

install(TARGETS godwit RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
