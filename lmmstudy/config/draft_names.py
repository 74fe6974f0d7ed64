"""What a column's name says of it: words that people use for subjects, times, responses, groups."""

import re
import unicodedata

SUBJECT = """
    id ids ident identifier identifiant kennung uid pid subject subjects subj sujet sujeto usubjid
    subjid patient patients patid patno paciente participant participants ppt proband probandin
    teilnehmer person persona personne individual volunteer volunteers respondent donor client case
    record child children kid kind enfant nino baby infant newborn pupil student schueler eleve alumno
    mother father woman man girl boy twin adult worker employee player athlete driver rater animal tier
    animale rat rats mouse mice dog cow calf pig piglet hen chick chicken mare horse sheep lamb goat
    rabbit monkey cat fish bird plant pflanze tree baum leaf seed seedling plot eye tooth tumor tumour
    quake probe path run tissue strip mom dad kids
"""
CLUSTER = """
    school schools class classroom teacher lecturer hospital clinic klinik site center centre zentrum
    ward practice family families household couple litter nest herd farm flock cage pen field block tank
    dish plate district county community village city country region state lea cluster team batch lot
    rail sample specimen unit herde brood replicate lab laboratory station wurf schule klasse familie
    stall betrieb praxis haushalt dorf ecole famille hopital escuela familia
"""
UNIT = """
    time times zeit temps tiempo date dates datum fecha day days tag tage jour jours dia dias ady week
    weeks wk wks woche wochen semaine semaines semana month months mo monat monate mois mes meses year
    years yr yrs jahr jahre annee ano age ages alter edad hour hours hr hrs stunde stunden heure heures
    hora minute minutes mins second seconds sec doy
"""
VISIT = """
    visit visits visitnum visitno avisitn besuch visite wave welle occasion occasions session sitting
    period phase cycle cycles grade round followup fu timepoint tp trial measurement messung index t
"""
RESPONSE = """
    response responses outcome outcomes score scores scr total value values aval wert werte valeur
    result results ergebnis measure measured messwert y resp reaction rt weight weights wt gewicht poids
    peso length height hoehe size grosse groesse taille distance level growth yield conc concentration
    uptake glucose bp sbp dbp hr bmi fev pressure density pixel count counts follicles protein pain
    depression anxiety bdi hamd hrsd madrs phq gad qol cog iq math mathach maths reading read ach
    achievement test exam strength effort extra circumference crp hba1c cholesterol cd4 viral load rate
    written verbal logsize logweight lang language post incidence cases deaths breaks ticks attain
    attainment accel ability
"""
COVARIATE = """
    age alter edad sex gender geschlecht sexe ses income dose dosis base baseline pre pretest wt weight0
    start entry lrt intake education iq lbase lage bmi size race ethnicity chg change pchg meanses
    schavg initial
"""
ARM = """
    treatment treatments treat trt trtp trta trt01p arm arms group groups grp gruppe groupe grupo
    condition cond intervention regimen bedingung behandlung traitement tratamiento randomised
    randomized randomisation assignment allocation
"""
TREATMENT = f"""
    {ARM} therapy therapie drug diet program programme exposure feed ozone formulation machine recipe
    method
"""
PERSONAL = """
    sex gender geschlecht sexe sexo female male smoke smoker smoking race ethnicity variety type genotype
    strain
"""
CONTROL = """
    placebo control controls contr cont ctrl ctl kontrolle kontroll temoin standard std usual tau soc
    none no nein untreated unbehandelt sham vehicle reference ref baseline normal plac plc pbo p c 0 n
    false cntrl nonchilled wait waitlist waiting
"""
BASELINE = "pre base baseline bl bas screening screen initial before pretest vorher avant start"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LISTS = {
    name: _words(text)
    for name, text in {
        "subject": SUBJECT,
        "cluster": CLUSTER,
        "unit": UNIT,
        "visit": VISIT,
        "response": RESPONSE,
        "covariate": COVARIATE,
        "arm": ARM,
        "treatment": TREATMENT,
        "personal": PERSONAL,
        "control": CONTROL,
        "baseline": BASELINE,
    }.items()
}


def words_of(name: str) -> list[str]:
    """The words of a name in small letters without accents: `PatientNr`, `patient_nr` and `Patient-Nr.` are
    "patient", "nr"."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    parts = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+|\d+", plain)
    return [part.lower() for part in parts]


def says(name: str, what: str) -> bool:
    """Whether some word of the name is in the list `what`: "subject", "cluster", "unit", "visit", "response",
    "covariate", "arm", "treatment", "personal", "control", "baseline"."""
    known, words = _LISTS[what], words_of(name)
    return any(word in known for word in (*words, "".join(words)))


def is_subject(name: str) -> float:
    """How much a name speaks for a subject: 3 for a person or an id, 1.5 for what holds several, 0."""
    words = words_of(name)
    joined = "".join(words)
    stem = re.sub(r"(id|nr|no|num|number|code)$", "", joined)
    if says(name, "cluster") or stem in _LISTS["cluster"]:
        return 1.5
    if (
        says(name, "subject")
        or joined != stem
        and (stem in _LISTS["subject"] or joined in ("studyid", "recordid"))
    ):
        return 3.0
    return 0.0


def is_time(name: str) -> float:
    """How much a name speaks for a time: 3 for a unit or a date, 2 for the number of a visit, 0."""
    if says(name, "unit"):
        return 3.0
    words = words_of(name)
    return 2.0 if says(name, "visit") or any(word.startswith("visit") for word in words) else 0.0


def is_control(level: str) -> bool:
    """Whether a level reads like the arm that the others are compared with."""
    return says(level, "control") or any(word.startswith("placebo") for word in words_of(level))
