<#
Clean-up after WannaCry, written by triage for one computer. It was not run; nobody has to run it.

Rescue the documents and make an image of the disk first. Then read this file: every step names one thing that was
found, and cleanup.html says the same with reasons. Without -Apply nothing is changed and each step is only checked.

  powershell -ExecutionPolicy Bypass -File cleanup.ps1                       look what it would do
  powershell -ExecutionPolicy Bypass -File cleanup.ps1 -Apply                do it, on that Windows
  powershell -ExecutionPolicy Bypass -File cleanup.ps1 -Offline E: -Apply    before that Windows starts again, from
                                                                             another Windows in which its disk is E:
  -KeepTo F:\keys   copy the key files there
  -Harden           switch the SMBv1 server off (on Windows XP: SMBDeviceEnabled) and block port 445

Needs PowerShell 2.0 (part of Windows 7) and an administrator. It checks that this is the same computer, that each file
has the digest and each service, task and value the content that was found, and stops at the first that differs.
Programs are not deleted but moved to \triage-quarantine of their own drive, which writes nothing over deleted documents.
#>
param([switch]$Apply, [switch]$Harden, [string]$Offline = '', [string]$KeepTo = '')

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$System = 'SYSTEM'        # the key below HKEY_LOCAL_MACHINE in which the services are looked for
$Machine = [Microsoft.Win32.Registry]::LocalMachine
$Raw = [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames
$LoadedHive = 'triage-offline'
$LogFile = ''
$Digests = @{}            # of the programs that run, by path
$Drives = @{}             # by serial number
$Known = $false           # whether this is the computer
$Step = 0
$Left = 0
$Failed = $false

# Text that is not plain ASCII stands in this file as UTF-16 code units in hexadecimal.
function U([string]$Units) {
    $text = ''
    for ($at = 0; $at -lt $Units.Length; $at += 4) { $text += [char][Convert]::ToInt32($Units.Substring($at, 4), 16) }
    $text
}

function Say([string]$Text) {
    Write-Host $Text
    if ($script:LogFile) {
        $line = [DateTime]::UtcNow.ToString('s') + 'Z ' + $Text + "`r`n"
        [IO.File]::AppendAllText($script:LogFile, $line, [Text.Encoding]::Unicode)
    }
}

function Start-Step([int]$Number, [string]$Text) {
    $script:Step = $Number
    Say ('[{0}] {1}' -f $Number, $Text)
}

# For writing only with -Apply.
function Open-Key($Root, [string]$Path) {
    $key = $Root.OpenSubKey($Path, [bool]$Apply)
    if ($key -eq $null) { Say '    is not there any more' }
    $key
}

# --- is this the computer? ---

function Get-Serial($Disk) { ([string]$Disk.VolumeSerialNumber).Replace('-', '').PadLeft(8, '0').ToUpper() }

function Find-Drive([string]$Serial) {
    if ($script:Drives.ContainsKey($Serial)) { return $script:Drives[$Serial] }
    $disks = @(Get-WmiObject Win32_LogicalDisk | Where-Object { $_.VolumeSerialNumber -and (Get-Serial $_) -eq $Serial })
    if ($disks.Count -gt 1) { throw ('more than one drive has the serial number ' + $Serial) }
    $script:Drives[$Serial] = if ($disks.Count -eq 1) { $disks[0].DeviceID + '\' } else { '' }
    $script:Drives[$Serial]
}

function Get-CurrentSet {
    $select = $Machine.OpenSubKey("$System\Select")
    'ControlSet{0:000}' -f $select.GetValue('Current')
    $select.Close()
}

function Get-ComputerName {
    if (-not $Offline) { return [Environment]::MachineName }
    $key = $Machine.OpenSubKey("$System\" + (Get-CurrentSet) + '\Control\ComputerName\ComputerName')
    $key.GetValue('ComputerName')
    $key.Close()
}

function Enter-Windows([string]$Computer, [string]$Serial, [string]$Folder) {
    $drive = Find-Drive $Serial
    $here = if ($Offline) { $Offline.TrimEnd('\') + '\' } else { $env:SystemDrive + '\' }
    if ($drive -ne $here) { return $false }
    if ($Offline) { Mount-Hive ($drive + $Folder) }
    elseif ($env:SystemRoot -ne $drive + $Folder) { throw ('Windows does not run from ' + $drive + $Folder) }
    $name = Get-ComputerName
    if ($name -ne $Computer) { throw ('this computer is called ' + $name + ', not ' + $Computer) }
    $script:Known = $true
    Enter-Volume $Serial
}

function Enter-Volume([string]$Serial) {
    $drive = Find-Drive $Serial
    if ($drive -eq '') { Say ('the drive with the serial number ' + $Serial + ' is not here: its steps are left'); return $false }
    Say ('drive ' + $drive + ', serial number ' + $Serial)
    $true
}

# A hive is looked at in a copy; only -Apply loads the one on the disk, which also brings its logs to an end.
function Mount-Hive([string]$Windows) {
    $hive = $Windows + '\System32\config\SYSTEM'
    if (-not $Apply) {
        $copies = [IO.Directory]::CreateDirectory([IO.Path]::Combine([IO.Path]::GetTempPath(), [IO.Path]::GetRandomFileName()))
        foreach ($name in 'SYSTEM', 'SYSTEM.LOG', 'SYSTEM.LOG1', 'SYSTEM.LOG2') {
            $from = $Windows + '\System32\config\' + $name
            if ([IO.File]::Exists($from)) { [IO.File]::Copy($from, [IO.Path]::Combine($copies.FullName, $name)) }
        }
        $hive = [IO.Path]::Combine($copies.FullName, 'SYSTEM')
    }
    & reg.exe load ('HKLM\' + $LoadedHive) $hive | Out-Null
    if ($LASTEXITCODE -ne 0) { throw ('cannot load ' + $hive) }
    $script:System = $LoadedHive
}

function Dismount-Hive {
    if ($script:System -ne $LoadedHive) { return }
    [GC]::Collect()
    [GC]::WaitForPendingFinalizers()
    & reg.exe unload ('HKLM\' + $LoadedHive) | Out-Null
    if ($LASTEXITCODE -ne 0) { Say ('HKEY_LOCAL_MACHINE\' + $LoadedHive + ' is still loaded: unload it in regedit') }
}

# --- services ---

function Open-Service([string]$Key, [string]$Image) {
    $found = Open-Key $Machine "$System\$Key"
    if ($found -eq $null) { return $null }
    $now = $found.GetValue('ImagePath', $null, $Raw)
    if ($now -cne $Image) { throw ('the service now starts: ' + $now) }
    $found
}

function Get-RunningService([string]$Key) {
    if ($Offline -or -not $Key.StartsWith((Get-CurrentSet) + '\')) { return $null }
    $name = $Key.Substring($Key.LastIndexOf('\') + 1)
    Get-WmiObject Win32_Service | Where-Object { $_.Name -eq $name }
}

function Disable-FoundService([int]$Number, [string]$Key, [string]$Image) {
    Start-Step $Number ('disable and stop the service ' + $Key)
    $found = Open-Service $Key $Image
    if ($found -eq $null) { return }
    if ($Apply) {
        $found.SetValue('Start', 4, [Microsoft.Win32.RegistryValueKind]::DWord)
        $service = Get-RunningService $Key
        if ($service -ne $null) { [void]$service.ChangeStartMode('Disabled'); [void]$service.StopService() }
    }
    $found.Close()
}

function Remove-FoundService([int]$Number, [string]$Key, [string]$Image) {
    if ($Offline) { return }
    Start-Step $Number ('remove the service ' + $Key)
    $found = Open-Service $Key $Image
    if ($found -eq $null) { return }
    $found.Close()
    if (-not $Apply) { return }
    $service = Get-RunningService $Key
    if ($service -eq $null) { $Machine.DeleteSubKeyTree("$System\$Key"); return }
    $result = $service.Delete().ReturnValue
    if ($result -ne 0 -and $result -ne 16) { throw ('Windows refused, code ' + $result) }
}

# Of the files that Windows deletes at its next start, take one off the list; the rest of the list stays as it is.
function Remove-PendingDeletion([int]$Number, [string]$Key, [string]$Value, [string]$File) {
    Start-Step $Number ('do not delete at the next start: ' + $File)
    $found = Open-Key $Machine "$System\$Key"
    if ($found -eq $null) { return }
    $list = @($found.GetValue($Value, @(), $Raw))
    $kept = New-Object Collections.ArrayList
    for ($at = 0; $at + 1 -lt $list.Count; $at += 2) {
        $source = $list[$at]
        if ($source.StartsWith('\??\')) { $source = $source.Substring(4) }
        if ($source -ceq $File -and $list[$at + 1] -eq '') { continue }
        [void]$kept.Add($list[$at])
        [void]$kept.Add($list[$at + 1])
    }
    if ($kept.Count -eq $list.Count - $list.Count % 2) { Say '    is not there any more' }
    elseif ($Apply) {
        if ($kept.Count -eq 0) { $found.DeleteValue($Value) }
        else { $found.SetValue($Value, [string[]]$kept.ToArray(), [Microsoft.Win32.RegistryValueKind]::MultiString) }
    }
    $found.Close()
}

# --- registry values ---

# The user's hive is loaded while that user is logged on; $Owner is empty for the settings of the computer.
function Open-Settings([string]$Serial, [string]$Owner, [string]$Key) {
    if ($Owner -eq '') { return Open-Key $Machine ('SOFTWARE\' + $Key) }
    $user = if ($Owner -eq '.DEFAULT') { $Owner } else { Find-User ((Find-Drive $Serial) + $Owner) }
    if ($user -eq '' -or [Microsoft.Win32.Registry]::Users.OpenSubKey($user) -eq $null) {
        Say ('    LEFT: the user of ' + $Owner + ' is not logged on; run this again when that user is')
        $script:Left += 1
        return $null
    }
    Open-Key ([Microsoft.Win32.Registry]::Users) ($user + '\' + $Key)
}

function Find-User([string]$Folder) {
    $list = $Machine.OpenSubKey('SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList')
    foreach ($sid in $list.GetSubKeyNames()) {
        if ($list.OpenSubKey($sid).GetValue('ProfileImagePath') -eq $Folder) { return $sid }
    }
    ''
}

function Open-Value([string]$Serial, [string]$Owner, [string]$Key, [string]$Value, [string]$Data) {
    $found = Open-Settings $Serial $Owner $Key
    if ($found -eq $null) { return $null }
    $now = $found.GetValue($Value, $null, $Raw)
    if ($now -is [byte[]]) { $now = [Text.Encoding]::GetEncoding(28591).GetString($now).Split([char]0)[0] }
    if ($now -eq $null) { Say '    is not there any more'; return $null }
    if ($now -cne $Data) { throw ('the value now says: ' + $now) }
    $found
}

function Remove-FoundValue([int]$Number, [string]$Serial, [string]$Owner, [string]$Key, [string]$Value, [string]$Data) {
    if ($Offline) { return }
    Start-Step $Number ('remove the value ' + $Value + ' of ' + $Owner + ' ' + $Key)
    $found = Open-Value $Serial $Owner $Key $Value $Data
    if ($found -ne $null -and $Apply) { $found.DeleteValue($Value) }
}

function Clear-FoundWallpaper([int]$Number, [string]$Serial, [string]$Owner, [string]$Key, [string]$Value, [string]$Data) {
    if ($Offline) { return }
    Start-Step $Number ('take the wallpaper off the desktop of ' + $Owner)
    $found = Open-Value $Serial $Owner $Key $Value $Data
    if ($found -ne $null -and $Apply) { $found.SetValue($Value, '') }
}

# --- scheduled tasks ---

# Task Scheduler itself tells what a task starts, and deletes it with its file and its keys. On Windows XP a task is only a
# file, and is moved like one.
function Remove-FoundTask([int]$Number, [string]$Name, [string]$Runs) {
    Start-Step $Number ('remove the scheduled task ' + $Name)
    if ($Offline) { Skip-Task 'only the Windows to which it belongs can remove it; what it starts is moved away'; return }
    $service = New-Object -ComObject Schedule.Service
    $service.Connect()
    $at = $Name.LastIndexOf('\')
    try {
        $folder = $service.GetFolder($Name.Substring(0, [Math]::Max($at, 1)))
        $task = $folder.GetTask($Name.Substring($at + 1))
    }
    catch { Skip-Task ('Task Scheduler does not show it: ' + $_.Exception.Message); return }
    $actions = $task.Definition.Actions
    if ($actions.Count -ne 1 -or $actions.Item(1).Type -ne 0) { throw 'the task now does something else' }
    $now = ($actions.Item(1).Path + ' ' + $actions.Item(1).Arguments).Trim()
    if ($now -cne $Runs) { throw ('the task now starts: ' + $now) }
    if ($Apply) { $folder.DeleteTask($task.Name, 0) }
}

function Skip-Task([string]$Why) {
    Say ('    LEFT: ' + $Why)
    $script:Left += 1
}

# --- files ---

function Get-Sha256([string]$File) {
    $hash = [Security.Cryptography.SHA256]::Create()
    $stream = New-Object IO.FileStream($File, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::ReadWrite)
    try { [BitConverter]::ToString($hash.ComputeHash($stream)).Replace('-', '').ToLower() }
    finally { $stream.Close() }
}

function Test-FoundFile([string]$File, [string]$Sha256) {
    if (-not [IO.File]::Exists($File)) { Say '    is not there any more'; return $false }
    if ((Get-Sha256 $File) -ne $Sha256) { throw ('this file is another one now: ' + $File) }
    $true
}

function Copy-KeptFile([int]$Number, [string]$Serial, [string]$Path, [string]$Sha256) {
    $file = (Find-Drive $Serial) + $Path
    Start-Step $Number ('keep ' + $file)
    if (-not (Test-FoundFile $file $Sha256)) { return }
    if ($KeepTo -eq '') { Say '    give -KeepTo to have it copied to another disk'; return }
    if (-not $Apply) { return }
    $name = '{0:00000}-{1}' -f $Number, [IO.Path]::GetFileName($file)
    $copy = [IO.Path]::Combine([IO.Directory]::CreateDirectory($KeepTo).FullName, $name)
    if (-not [IO.File]::Exists($copy)) { [IO.File]::Copy($file, $copy) }
    if ((Get-Sha256 $copy) -ne $Sha256) { throw ('the copy differs: ' + $copy) }
}

# Ends what runs this very program, from wherever it was started; known by its content, not by its name.
function Stop-FoundProgram([int]$Number, [string]$Name, [string]$Sha256) {
    if ($Offline) { return }
    Start-Step $Number ('end the program ' + $Name)
    foreach ($process in @(Get-WmiObject Win32_Process)) {
        $file = $process.ExecutablePath
        if (-not $file -or -not [IO.File]::Exists($file)) { continue }
        if (-not $script:Digests.ContainsKey($file)) {
            try { $script:Digests[$file] = Get-Sha256 $file } catch { $script:Digests[$file] = 'cannot be read' }
        }
        if ($script:Digests[$file] -ne $Sha256) { continue }
        Say ('    process ' + $process.ProcessId + ': ' + $file)
        if ($Apply) { [void]$process.Terminate() }
    }
}

function Move-FoundFile([int]$Number, [string]$Serial, [string]$Path, [string]$Sha256) {
    $drive = Find-Drive $Serial
    $file = $drive + $Path
    Start-Step $Number ('move to quarantine ' + $file)
    if (-not (Test-FoundFile $file $Sha256) -or -not $Apply) { return }
    $folder = [IO.Directory]::CreateDirectory($drive + 'triage-quarantine').FullName
    $name = '{0:00000}-{1}.quarantined' -f $Number, $Sha256.Substring(0, 16)
    [IO.File]::Move($file, [IO.Path]::Combine($folder, $name))
}

# --- settings of Windows ---

function Restore-Recovery([int]$Number) {
    if ($Offline) { return }
    Start-Step $Number 'let Windows repair its start again'
    if ([Environment]::OSVersion.Version.Major -lt 6 -or -not $Apply) { return }
    foreach ($setting in @('recoveryenabled', 'yes'), @('bootstatuspolicy', 'displayallfailures')) {
        & bcdedit.exe /set '{default}' $setting[0] $setting[1] | Out-Null
        if ($LASTEXITCODE -ne 0) { throw ('bcdedit refused ' + $setting[0]) }
    }
}

# The value SMB1 and netsh advfirewall begin with Windows Vista.
function Close-Hole([int]$Number) {
    if ($Offline) { return }
    Start-Step $Number 'SMBv1 server off, port 445 blocked (only with -Harden)'
    if (-not $Harden -or -not $Apply) { return }
    if ([Environment]::OSVersion.Version.Major -lt 6) { Set-Switch 'NetBT' 'SMBDeviceEnabled'; Close-PortOfXP; return }
    Set-Switch 'LanmanServer' 'SMB1'
    & netsh.exe advfirewall firewall delete rule name=triage-445 | Out-Null
    & netsh.exe advfirewall firewall add rule name=triage-445 dir=in protocol=tcp localport=445 action=block | Out-Null
    if ($LASTEXITCODE -ne 0) { throw 'netsh refused the rule' }
}

function Close-PortOfXP {
    & netsh.exe firewall set opmode mode=enable | Out-Null
    if ($LASTEXITCODE -ne 0) { throw 'netsh refused to switch the firewall on' }
    & netsh.exe firewall set portopening protocol=TCP port=445 mode=disable name=deny445 | Out-Null
    if ($LASTEXITCODE -ne 0) { throw 'netsh refused the rule' }
}

# Windows reads it at its next start.
function Set-Switch([string]$Service, [string]$Value) {
    if (-not $Apply) { return }
    $key = $Machine.OpenSubKey('SYSTEM\CurrentControlSet\Services\' + $Service + '\Parameters', $true)
    $key.SetValue($Value, 0, [Microsoft.Win32.RegistryValueKind]::DWord)
    $key.Close()
}

function Test-Surroundings {
    $me = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) { throw 'start it as administrator' }
    if ($env:PROCESSOR_ARCHITEW6432) { throw 'start the 64-bit PowerShell' }
    if ($Apply) {
        $folder = [IO.Directory]::CreateDirectory($env:SystemDrive + '\triage-quarantine').FullName
        $script:LogFile = [IO.Path]::Combine($folder, 'cleanup.log')
    }
}
