# At install time: what is made from the help of the program that was built, and systemd's unit, with the paths that
# the prefix of this moment gives. Set before: program, packaging, made.
file(MAKE_DIRECTORY ${made})
execute_process(COMMAND sh ${packaging}/make.sh ${program} ${packaging} WORKING_DIRECTORY ${made}
  COMMAND_ERROR_IS_FATAL ANY)

if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(SYSCONFDIR /etc)
  set(zsh_dir vendor-completions) # Debian's place for packages
else()
  set(zsh_dir site-functions)
  set(SYSCONFDIR ${CMAKE_INSTALL_PREFIX}/etc)
endif()
set(BINDIR ${CMAKE_INSTALL_PREFIX}/bin)
set(DOCDIR ${CMAKE_INSTALL_PREFIX}/share/doc/pgsluice)
configure_file(${packaging}/pgsluice@.service.in ${made}/pgsluice@.service @ONLY)

set(share ${CMAKE_INSTALL_PREFIX}/share)
file(INSTALL ${made}/pgsluice.1.gz DESTINATION ${share}/man/man1)
file(INSTALL ${made}/pgsluice DESTINATION ${share}/bash-completion/completions)
file(INSTALL ${made}/_pgsluice DESTINATION ${share}/zsh/${zsh_dir})
file(INSTALL ${made}/changelog.gz ${made}/changelog.Debian.gz DESTINATION ${DOCDIR})
file(INSTALL ${made}/pgsluice@.service DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
file(MAKE_DIRECTORY $ENV{DESTDIR}${SYSCONFDIR}/pgsluice)
