# What `cmake --install` puts where, below any prefix, and the Debian package that CPack makes of it.
include(GNUInstallDirs)

set(packaging ${PROJECT_SOURCE_DIR}/cmake/packaging)

file(GLOB pages CONFIGURE_DEPENDS docs/*.md)
install(TARGETS pgsluice)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES ${librdkafka}/LICENSES.txt DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME librdkafka.LICENSES.txt)
install(FILES ${packaging}/warehouse.env helm/pgsluice/files/alerts.yml helm/pgsluice/files/dashboard.json
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(CODE "
  set(program \"$<TARGET_FILE:pgsluice>\")
  set(packaging \"${packaging}\")
  set(made \"${PROJECT_BINARY_DIR}/packaging\")")
install(SCRIPT ${packaging}/made.cmake)

# --- The Debian package ---------------------------------------------------------------------------

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR pgsluice)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "moves records from Kafka topics into PostgreSQL tables")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Records of Apache Kafka become rows of PostgreSQL, exactly once: the
position of each partition is moved in the transaction that writes its
rows, by COPY. It runs as one process or as many replicas of a consumer
group; the unit pgsluice@NAME runs one with /etc/pgsluice/NAME.env.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The pgsluice maintainers <maintainers@pgsluice.invalid>")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_OUTPUT_FILE_PREFIX packages)
include(CPack)
